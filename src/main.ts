#!/usr/bin/env node
import { Command } from 'commander';
import { messageOf } from './domain/errors.ts';
import { version } from './version.ts';

const OLDEST_NODE = 24;

// The command line, and the only reader of process.env.
const { env } = process;

/** Each command with all that it needs, loaded only where it is asked for: the orchestrator need not know the proxy. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  start: async () => (await import('./cli/start.ts')).createStartCommand(env),
  orchestrator: async () => (await import('./cli/orchestrator.ts')).createOrchestratorCommand(env),
  'stand-ins': async () => (await import('./cli/stand-ins.ts')).createStandInsCommand(),
  status: async () => (await import('./cli/status.ts')).createStatusCommand(env),
  explain: async () => (await import('./cli/explain.ts')).createExplainCommand(env),
  backfill: async () => (await import('./cli/backfill.ts')).createBackfillCommand(env),
  reconcile: async () => (await import('./cli/reconcile.ts')).createReconcileCommand(env),
  repair: async () => (await import('./cli/repair.ts')).createRepairCommand(env),
  lost: async () => (await import('./cli/lost.ts')).createLostCommand(env),
  runs: async () => (await import('./cli/runs.ts')).createRunsCommand(env),
  report: async () => (await import('./cli/report.ts')).createReportCommand(env),
  flags: async () => (await import('./cli/flags.ts')).createFlagsCommand(env),
  'dead-letters': async () => (await import('./cli/dead-letters.ts')).createDeadLettersCommand(env),
  'unknown-outcomes': async () =>
    (await import('./cli/unknown-outcomes.ts')).createUnknownOutcomesCommand(env),
  lanes: async () => (await import('./cli/lanes.ts')).createLanesCommand(env),
  audit: async () => (await import('./cli/audit.ts')).createAuditCommand(env),
  backup: async () => (await import('./cli/backup.ts')).createBackupCommand(env),
  differences: async () => (await import('./cli/differences.ts')).createDifferencesCommand(env),
  rules: async () => (await import('./cli/rules.ts')).createRulesCommand(env),
  guard: async () => (await import('./cli/guard.ts')).createGuardCommand(env),
};

/** The command that is asked for; all of them where the help or an error must list them. */
function asked(): Promise<Command[]> {
  const name = process.argv[2] ?? '';
  const chosen = Object.hasOwn(COMMANDS, name) ? [name] : Object.keys(COMMANDS);
  return Promise.all(chosen.flatMap((one) => COMMANDS[one]?.() ?? []));
}

async function main(): Promise<void> {
  if (Number(process.versions.node.split('.')[0]) < OLDEST_NODE) {
    throw new Error(
      `Crossfade needs Node ${OLDEST_NODE}, this is ${process.version}: run it through npm, which brings its own`,
    );
  }
  const program = new Command('crossfade')
    .description('A live, verified, reversible migration of agent memory')
    .version(version)
    // Options behind the name of a command are that command's.
    .enablePositionalOptions();
  const commands = await asked();
  for (const command of commands) program.addCommand(command);
  // Where one command is asked for, the others are not there to be completed.
  if (commands.length > 1) (await import('./cli/completion.ts')).addCompletion(program);
  hintAtHelp(program);
  await program.parseAsync();
}

/** Whoever is told that something is missing learns where it is explained. */
function hintAtHelp(command: Command): void {
  command.showHelpAfterError('What it takes is shown with --help.');
  for (const one of command.commands) hintAtHelp(one);
}

try {
  await main();
} catch (error) {
  console.error(`crossfade: ${messageOf(error)}`);
  process.exitCode = 1;
  // A parent's channel would keep a start that failed alive.
  if (process.connected) process.disconnect();
}

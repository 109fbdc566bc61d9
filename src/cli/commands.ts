import type { Command } from 'commander';
import { nearestName } from '../shared/nearest-name.ts';
import type { Environment } from './operator-client.ts';

/** Each command with its imports, loaded on use, so that the orchestrator does not load the proxy. */
export function commandsOf(env: Environment): Readonly<Record<string, () => Promise<Command>>> {
  return {
    start: async () => (await import('./start.ts')).createStartCommand(env),
    orchestrator: async () => (await import('./orchestrator.ts')).createOrchestratorCommand(env),
    config: async () => (await import('./config.ts')).createConfigCommand(env),
    'stand-ins': async () => (await import('./stand-ins.ts')).createStandInsCommand(),
    status: async () => (await import('./status.ts')).createStatusCommand(env),
    explain: async () => (await import('./explain.ts')).createExplainCommand(env),
    backfill: async () => (await import('./backfill.ts')).createBackfillCommand(env),
    reconcile: async () => (await import('./reconcile.ts')).createReconcileCommand(env),
    repair: async () => (await import('./repair.ts')).createRepairCommand(env),
    lost: async () => (await import('./lost.ts')).createLostCommand(env),
    restored: async () => (await import('./restored.ts')).createRestoredCommand(env),
    rollback: async () => (await import('./rollback.ts')).createRollbackCommand(env),
    runs: async () => (await import('./runs.ts')).createRunsCommand(env),
    report: async () => (await import('./report.ts')).createReportCommand(env),
    flags: async () => (await import('./flags.ts')).createFlagsCommand(env),
    flips: async () => (await import('./flips.ts')).createFlipsCommand(env),
    'dead-letters': async () => (await import('./dead-letters.ts')).createDeadLettersCommand(env),
    'unknown-outcomes': async () => (await import('./unknown-outcomes.ts')).createUnknownOutcomesCommand(env),
    reverse: async () => (await import('./reverse.ts')).createReverseCommand(env),
    lanes: async () => (await import('./lanes.ts')).createLanesCommand(env),
    agents: async () => (await import('./agents.ts')).createAgentsCommand(env),
    audit: async () => (await import('./audit.ts')).createAuditCommand(env),
    'read-only': async () => (await import('./read-only.ts')).createReadOnlyCommand(env),
    complete: async () => (await import('./complete.ts')).createCompleteCommand(env),
    certificate: async () => (await import('./certificate.ts')).createCertificateCommand(env),
    backup: async () => (await import('./backup.ts')).createBackupCommand(env),
    differences: async () => (await import('./differences.ts')).createDifferencesCommand(env),
    rules: async () => (await import('./rules.ts')).createRulesCommand(env),
    guard: async () => (await import('./guard.ts')).createGuardCommand(env),
  };
}

/** Reports an unknown subcommand before parsing, because commander prints the group's help for `group nonsense --help`. */
export function refuseUnknownCommand(command: Command, words: readonly string[]): void {
  const [word, ...rest] = words;
  if (word === undefined || word.startsWith('-') || word === 'help') return;
  const known = command.commands.find((one) => one.name() === word || one.aliases().includes(word));
  if (known !== undefined) return refuseUnknownCommand(known, rest);
  const takesWords = command.commands.length === 0 || command.registeredArguments.length > 0;
  if (takesWords) return;
  const names = command.commands.map((one) => one.name());
  const near = nearestName(word, names);
  const proposal = near === undefined ? '' : ` (did you mean "${near}"?)`;
  command.error(`error: unknown command "${word}"${proposal}. Commands: ${names.join(', ')}`);
}

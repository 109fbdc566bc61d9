#!/usr/bin/env node
import { Command } from 'commander';
import { createExplainCommand } from './cli/explain.ts';
import { createGuardCommand } from './cli/guard.ts';
import { createOrchestratorCommand } from './cli/orchestrator.ts';
import { createRulesCommand } from './cli/rules.ts';
import { createStandInsCommand } from './cli/stand-ins.ts';
import { createStatusCommand } from './cli/status.ts';
import { createStartCommand } from './cli/start.ts';
import { messageOf } from './domain/errors.ts';
import { version } from './version.ts';

const OLDEST_NODE = 24;

// The command line, and the only reader of process.env.
const { env } = process;

async function main(): Promise<void> {
  if (Number(process.versions.node.split('.')[0]) < OLDEST_NODE) {
    throw new Error(
      `Crossfade needs Node ${OLDEST_NODE}, this is ${process.version}: run it through npm, which brings its own`,
    );
  }
  await new Command('crossfade')
    .description('A live, verified, reversible migration of agent memory')
    .version(version)
    // Options behind the name of a command are that command's.
    .enablePositionalOptions()
    .addCommand(createStartCommand(env))
    .addCommand(createOrchestratorCommand(env))
    .addCommand(createRulesCommand(env))
    .addCommand(createStandInsCommand())
    .addCommand(createStatusCommand(env))
    .addCommand(createExplainCommand(env))
    .addCommand(createGuardCommand(env))
    .parseAsync();
}

try {
  await main();
} catch (error) {
  console.error(`crossfade: ${messageOf(error)}`);
  process.exitCode = 1;
  // A parent's channel would keep a start that failed alive.
  if (process.connected) process.disconnect();
}

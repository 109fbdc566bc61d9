import { Command } from 'commander';
import type { Environment } from '../config/config.ts';
import { createKeysCommand } from './orchestrator-keys.ts';
import type { OrchestratorFlags } from './run-orchestrator.ts';

const HELP = `
An option wins over the environment, the environment over the settings file, and the file over the default.
Try it:
  curl -d '{"session_id": "s", "payload": {"memory_type": "context", "content": {"text": "Ann likes tea"}, "create_session": true}}' \\
    http://127.0.0.1:5571/v1/create
  curl -d '{"session_id": "s", "payload": {"query": "tea"}}' http://127.0.0.1:5571/v1/search
GET /openapi.json describes every action and field. GET /health/ready shows the state of the orchestrator.

Exit codes: 0 stopped by SIGTERM or SIGINT after every accepted request was answered; 1 start failed (reason on stderr).`;

/** `crossfade orchestrator`: runs the Memory Orchestrator until it is stopped. */
export function createOrchestratorCommand(env: Environment): Command {
  return (
    new Command('orchestrator')
      .description('Run the Memory Orchestrator')
      .option(
        '--config <file>',
        'settings file (YAML); config/orchestrator.example.yaml explains every setting',
      )
      .option(
        '--folder <path>',
        'folder of the embedded database (environment: ORCHESTRATOR_FOLDER; default: data/orchestrator)',
      )
      .option('--host <address>', 'address to listen on (environment: ORCHESTRATOR_HOST; default: 127.0.0.1)')
      .option('--port <number>', 'ZeroMQ port (environment: ORCHESTRATOR_PORT; default: 5570)')
      .option('--http-port <number>', 'HTTP port (environment: ORCHESTRATOR_HTTP_PORT; default: 5571)')
      .option(
        '--database-url <url>',
        'use this PostgreSQL instead of the embedded database (environment: ORCHESTRATOR_DATABASE_URL)',
      )
      .addHelpText('after', HELP)
      // Loaded on use, because help and completion do not need it.
      .action(async (flags: OrchestratorFlags) =>
        (await import('./run-orchestrator.ts')).runOrchestrator(flags, env),
      )
      // Options after the name of a subcommand belong to that subcommand.
      .enablePositionalOptions()
      .addCommand(createKeysCommand(env))
  );
}

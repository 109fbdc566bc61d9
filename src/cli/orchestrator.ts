import { Command } from 'commander';
import type { Environment } from '../config.ts';
import { createKeysCommand } from './orchestrator-keys.ts';
import type { OrchestratorFlags } from './run-orchestrator.ts';

const HELP = `
It listens on 127.0.0.1, ZeroMQ 5570 and HTTP 5571, with an embedded database in data/orchestrator, unless told otherwise.
Try it:
  curl -d '{"session_id": "s", "payload": {"memory_type": "context", "content": {"text": "Ann likes tea"}, "create_session": true}}' \\
    http://127.0.0.1:5571/v1/create
  curl -d '{"session_id": "s", "payload": {"query": "tea"}}' http://127.0.0.1:5571/v1/search
GET /openapi.json describes every action and field, GET /health/ready says how it is.

Exit codes: 0 stopped by SIGTERM or SIGINT, and what it had taken in is answered; 1 it could not start.`;

/** `crossfade orchestrator`: runs the Memory Orchestrator until it is told to stop. */
export function createOrchestratorCommand(env: Environment): Command {
  return (
    new Command('orchestrator')
      .description('Run the new Memory Orchestrator')
      .option('--config <file>', 'settings as YAML; config/orchestrator.example.yaml explains each')
      .option('--folder <path>', 'folder of the embedded database (ORCHESTRATOR_FOLDER)')
      .option('--host <address>', 'address to listen on (ORCHESTRATOR_HOST)')
      .option('--port <number>', 'ZeroMQ port (ORCHESTRATOR_PORT)')
      .option('--http-port <number>', 'HTTP port (ORCHESTRATOR_HTTP_PORT)')
      .option('--database-url <url>', 'PostgreSQL to use instead (ORCHESTRATOR_DATABASE_URL)')
      .addHelpText('after', HELP)
      // Help and completion need nothing of it.
      .action(async (flags: OrchestratorFlags) =>
        (await import('./run-orchestrator.ts')).runOrchestrator(flags, env),
      )
      // Options behind the name of a subcommand are that one's.
      .enablePositionalOptions()
      .addCommand(createKeysCommand(env))
  );
}

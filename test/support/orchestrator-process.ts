import { createOrchestratorCommand } from '../../src/cli/orchestrator.ts';

// The command alone, as a process of its own.
try {
  await createOrchestratorCommand(process.env).parseAsync();
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exit(1);
}

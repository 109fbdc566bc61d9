import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';

/** One busy loop per core, so that whatever runs meanwhile waits for its processor. Returns what ends them. */
export function startBusyCores(cores = availableParallelism()): () => void {
  // A loop that its starter forgot ends by itself.
  const program =
    'const end = Date.now() + 600_000; while (Date.now() < end) for (let i = 0; i < 1e6; i += 1);';
  const loops = Array.from({ length: cores }, () =>
    spawn(process.execPath, ['-e', program], { stdio: 'ignore' }),
  );
  return () => {
    for (const loop of loops) loop.kill('SIGKILL');
  };
}

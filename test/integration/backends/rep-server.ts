import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('./rep-program.ts', import.meta.url));
const running = new Set<ChildProcess>();

export interface RepServer {
  readonly endpoint: string;
  /** SIGKILL, and waits for the end. */
  kill(): Promise<void>;
  readonly child: ChildProcess;
}

/** Starts the serial server of rep-program.ts. */
export async function startRepServer(port: number): Promise<RepServer> {
  const child = fork(PROGRAM, [String(port)], { stdio: 'inherit' });
  running.add(child);
  await once(child, 'message');
  return {
    endpoint: `tcp://127.0.0.1:${port}`,
    child,
    kill: async () => {
      running.delete(child);
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    },
  };
}

export function killRepServers(): void {
  for (const child of running) child.kill('SIGKILL');
  running.clear();
}

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { loadConfig, type Environment } from '../config.ts';
import type { Config } from '../config-schema.ts';
import { loadDefinitions, type DefinedService } from '../definitions.ts';
import { inOrder, type Part } from '../parts.ts';
import { createProxy } from '../proxy.ts';
import { lockFolder } from '../storage/folder-lock.ts';
import { version } from '../version.ts';
import { runUntilStopped } from './run.ts';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
const DATA = './data';
const STAND_INS = `${DATA}/stand-ins`;
const STOP_WITHIN_MS = 8_000;

/** The whole embedded default: stand-ins and orchestrator as processes of their own, the proxy in this one. */
export async function startEmbedded(file: string, env: Environment): Promise<void> {
  const config = loadConfig(file, env);
  const services = await loadDefinitions(config);
  const [standIns, orchestrator] = [
    child('stand-ins', ['stand-ins', '--data', STAND_INS]),
    child('orchestrator', ['orchestrator', '--folder', `${DATA}/orchestrator`]),
  ];
  const proxy = createProxy({ config, services, version, isTerminal: process.stdout.isTTY, listeners: [] });
  const whole = inOrder([folderLock(), together(standIns, orchestrator, { name: 'proxy', ...proxy })]);
  await runUntilStopped(whole, () => {
    console.log(welcome(config, services));
    process.send?.({ type: 'ready' });
  });
}

/** A second start in the same folder would write to the same files: it is refused before anything else happens. */
function folderLock(): Part {
  let release: (() => void) | undefined;
  return {
    name: 'Crossfade',
    start: async () => {
      mkdirSync(DATA, { recursive: true });
      release = lockFolder(DATA);
    },
    stop: async () => release?.(),
  };
}

/** Parts that do not need each other start at the same time; when one fails, the others are stopped. */
function together(...parts: readonly Part[]): Part {
  const running = parts.map((part) => inOrder([part]));
  const stop = async (): Promise<void> => void (await Promise.all(running.map((part) => part.stop())));
  return {
    name: 'a part',
    stop,
    start: async () => {
      const failed = (await Promise.allSettled(running.map((part) => part.start()))).find(
        ({ status }) => status === 'rejected',
      );
      if (failed?.status !== 'rejected') return;
      await stop();
      throw failed.reason;
    },
  };
}

/** One of our own commands as a process that ends with this one, whatever ends it. */
function child(name: string, args: readonly string[]): Part {
  let running: ChildProcess | undefined;
  return {
    name,
    start: async () => {
      // Of its own group: Ctrl-C reaches this process alone, which then stops the others in order.
      running = spawn(process.execPath, [MAIN, ...args], {
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
        detached: true,
      });
      const ended = once(running, 'exit').then(([code]) => {
        throw new Error(`it ended with exit code ${String(code)}`);
      });
      await Promise.race([once(running, 'message'), ended]);
      ended.catch(() => undefined);
    },
    stop: async () => {
      if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
      const exited = once(running, 'exit');
      running.kill('SIGTERM');
      const timer = setTimeout(() => running?.kill('SIGKILL'), STOP_WITHIN_MS);
      await exited;
      clearTimeout(timer);
    },
  };
}

/** What runs where, and what to try first. */
function welcome({ http, orchestrator }: Config, services: readonly DefinedService[]): string {
  const rows = services.map(({ name, config, definition }) => {
    const { endpoint } = definition;
    const address = endpoint.kind === 'zmq' ? `tcp://127.0.0.1:${endpoint.port}` : endpoint.prefix;
    return [name, address, config.legacy.endpoint];
  });
  const table = [['service', 'agents connect to', 'legacy service behind it'], ...rows].map((row) =>
    row.map((cell) => cell.padEnd(26)).join(''),
  );
  const base = `http://${http.host}:${http.port}`;
  return [
    '',
    ...table,
    '',
    `orchestrator              ${orchestrator.endpoint}   http://127.0.0.1:5571`,
    `status                    ${base}/v1/status`,
    `metrics, health           ${base}/metrics   ${base}/health/ready`,
    '',
    'Try:',
    `  curl -s ${base}/v1/services/session-memory -d '{"action": "create_session", "session_id": "s-1", "user_id": "ana"}'`,
    `  curl -s ${base}/v1/services/session-memory -d '{"action": "add_interaction", "session_id": "s-1", "role": "user", "content": "hello"}'`,
    `  curl -s ${base}/v1/services/session-memory -d '{"action": "get_context", "session_id": "s-1"}'`,
    '  then set read-cutover to 100 % in flags/crossfade.json and read again.',
    '',
  ].join('\n');
}

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Environment, loadConfig } from '../config/config.ts';
import type { Config } from '../config/schema.ts';
import { type DefinedService, loadDefinitions } from '../compose/definitions.ts';
import { messageOf } from '../domain/errors.ts';
import { type Listener, listenersOf, portsOf } from '../compose/listeners.ts';
import { inOrder, type Part, type Running } from '../shared/parts.ts';
import { checkFlags } from '../compose/flags.ts';
import { refuseTakenPorts } from '../compose/ports.ts';
import { createProxy } from '../compose/proxy.ts';
import { lockFolder } from '../storage/folder-lock.ts';
import { version } from './version.ts';
import { runUntilStopped } from './run.ts';
import { table } from '../operator/views/terminal.ts';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
const DATA = './data';
const STAND_INS = `${DATA}/stand-ins`;
const STOP_WITHIN_MS = 8_000;
const CONNECT_WITHIN_MS = 10_000;
const LOOK_EVERY_MS = 50;

/** Runs the embedded default: the proxy in this process, the stand-ins and the orchestrator as child processes. */
export async function startEmbedded(file: string, env: Environment): Promise<void> {
  const config = loadConfig(file, env);
  await checkFlags(config);
  const services = await loadDefinitions(config);
  const standIns = inOrder([child('stand-ins', ['--data', STAND_INS])]);
  const orchestrator = inOrder([child('orchestrator', ['--folder', `${DATA}/orchestrator`])]);
  const proxy = createProxy({ config, services, version, isTerminal: process.stdout.isTTY, listeners: [] });
  const place = createPlace([...listenersOf(config, services), ...othersOf(config)]);
  const parts = together(standIns, orchestrator, proxy);
  const whole: Running = {
    start: async () => {
      await place.start();
      await parts.start();
      await connected(config);
    },
    stop: async () => {
      await parts.stop();
      await place.stop();
    },
    waitingFor: () => parts.waitingFor(),
  };
  await runUntilStopped(whole, () => {
    console.log(createWelcome(config, services));
    process.send?.({ type: 'ready' });
  });
}

/** Waits until the proxy reaches every part, at most 10 s. The sockets need up to a few seconds after both sides listen. */
async function connected({ http: { host, port } }: Config): Promise<void> {
  const endMs = performance.now() + CONNECT_WITHIN_MS;
  while (performance.now() < endMs && !(await isWhollyReady(`http://${host}:${port}/health/ready`)))
    await sleep(LOOK_EVERY_MS);
}

async function isWhollyReady(url: string): Promise<boolean> {
  const response = await fetch(url).catch(() => undefined);
  if (response === undefined) return false;
  const { ready, parts } = (await response.json()) as {
    readonly ready: boolean;
    readonly parts: Readonly<Record<string, { readonly reason?: string }>>;
  };
  return ready && parts['orchestrator']?.reason === undefined;
}

/** Locks the data folder and checks the ports first, because a second start in the same folder would write to the same files. */
function createPlace(listeners: readonly Listener[]): Omit<Part, 'name'> {
  let release: (() => void) | undefined;
  return {
    start: async () => {
      makeFolder(DATA);
      release = lockFolder(DATA);
      await refuseTakenPorts(listeners).catch((error: unknown) => {
        release?.();
        throw error;
      });
    },
    stop: async () => release?.(),
  };
}

/** @throws Error with the reason why the folder cannot be made */
function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const why = code === 'EEXIST' || code === 'ENOTDIR' ? 'it is a file' : messageOf(cause);
    throw new Error(
      `the data folder ${path} cannot be used: ${why}. Move it away, or start in another folder`,
      { cause },
    );
  }
}

const HOST = '127.0.0.1';

/** Where the stand-ins and the orchestrator will listen: the ports that the proxy connects to, and two more. */
function othersOf({ services, orchestrator }: Config): Listener[] {
  const asked = Object.entries(services).flatMap(([name, { legacy }]) => [
    [`stand-in of ${name}`, legacy.endpoint],
    [`stand-in of ${name}, PUB`, legacy.pubEndpoint],
  ]);
  return [...asked, ['orchestrator', orchestrator.endpoint], ...UNASKED].flatMap(
    ([key = '', address = '']) => {
      const { hostname, port } = URL.parse(address) ?? {};
      return hostname === HOST ? [{ key, host: HOST, port: Number(port) }] : [];
    },
  );
}

const UNASKED = [
  ['stand-in of session-memory, health', `tcp://${HOST}:15575`],
  ['orchestrator, HTTP', `http://${HOST}:5571`],
];

/** Parts that do not need each other start at the same time. If one fails, the others are stopped. */
function together(...parts: readonly Running[]): Running {
  const stop = async (): Promise<void> => void (await Promise.all(parts.map((part) => part.stop())));
  return {
    stop,
    waitingFor: () => parts.flatMap((part) => part.waitingFor()),
    start: async () => {
      const failed = (await Promise.allSettled(parts.map((part) => part.start()))).find(
        ({ status }) => status === 'rejected',
      );
      if (failed?.status !== 'rejected') return;
      await stop();
      throw failed.reason;
    },
  };
}

/** One of our own commands as a child process. It ends with this process, even if this one is killed. */
function child(name: 'stand-ins' | 'orchestrator', args: readonly string[]): Part {
  let running: ChildProcess | undefined;
  let isStopping = false;
  return {
    name,
    start: async () => {
      // In its own process group, so that Ctrl-C reaches only this process, which then stops the others in order.
      running = spawn(process.execPath, [MAIN, name, ...args], {
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
        detached: true,
      });
      const ended = once(running, 'exit').then(([code, signal]) => {
        throw new Error(
          `the process ended with ${signal === null ? `exit code ${String(code)}` : String(signal)}`,
        );
      });
      await Promise.race([once(running, 'message'), ended]);
      // The rest continues, so that a person can see how the proxy behaves without this part.
      ended.catch((error: unknown) => {
        if (isStopping) return;
        console.error(
          `crossfade: ${name}: ${messageOf(error)}; start it again with "npm run crossfade -- ${name}"`,
        );
      });
    },
    stop: async () => {
      isStopping = true;
      if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
      const exited = once(running, 'exit');
      running.kill('SIGTERM');
      const timer = setTimeout(() => running?.kill('SIGKILL'), STOP_WITHIN_MS);
      await exited;
      clearTimeout(timer);
    },
  };
}

/** The addresses of all parts, and commands to try first. */
export function createWelcome(
  { http, desk, orchestrator }: Config,
  services: readonly DefinedService[],
): string {
  const base = `http://${http.host}:${http.port}`;
  const rows = [
    ...services.flatMap(rowsOf),
    ['any service over HTTP', `POST ${base}/v1/services/<service>`, ''],
    ['', '', ''],
    ...(desk === undefined ? [] : [["operator's desk", `http://${desk.host}:${desk.port}`, '']]),
    ['orchestrator', orchestrator.endpoint, 'http://127.0.0.1:5571/openapi.json'],
    ['status, metrics', `${base}/v1/status`, `${base}/metrics`],
    ['health', `${base}/health/ready`, `${base}/health/live`],
  ];
  const ask = (service: string, body: string): string =>
    `  curl -s ${base}/v1/services/${service} -d '${body}'`;
  return [
    '',
    table(['service', 'agents connect to', 'legacy service'], rows),
    '',
    'Try:',
    ask('session-memory', '{"action": "create_session", "session_id": "s-1", "user_id": "ana"}'),
    ask(
      'session-memory',
      '{"action": "add_interaction", "session_id": "s-1", "role": "user", "content": "hello"}',
    ),
    ask('session-memory', '{"action": "get_context", "session_id": "s-1"}'),
    ask('jarvis-memory', '{"action": "add_memory", "user_id": "ana", "memory": "likes tea"}'),
    ask('jarvis-memory', '{"action": "get_memories", "user_id": "ana"}'),
    '  npm run crossfade -- status',
    "Then move the reads of session-memory to 100 % on the operator's desk (or in flags/crossfade.json), and read again:",
    'the orchestrator answers. Ctrl-C stops everything. The data is in ./data.',
    '',
  ].join('\n');
}

function rowsOf({ name, config, definition }: DefinedService): string[][] {
  const { endpoint } = definition;
  const { legacy } = config;
  if (endpoint.kind !== 'zmq') return [[name, endpoint.prefix, legacy.endpoint]];
  const { healthPort, pubPort } = portsOf({ definition, config }) ?? {};
  const at = (port: number): string => `tcp://${config.host ?? '127.0.0.1'}:${port}`;
  return [
    [name, at(endpoint.port), legacy.endpoint],
    ...(healthPort === undefined ? [] : [['  health', at(healthPort), 'answered by the proxy']]),
    ...(pubPort === undefined ? [] : [['  PUB', at(pubPort), legacy.pubEndpoint ?? '']]),
  ];
}

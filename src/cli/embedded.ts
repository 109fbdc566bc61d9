import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { loadConfig, type Environment } from '../config/config.ts';
import type { Config } from '../config/schema.ts';
import { loadDefinitions } from '../compose/definitions.ts';
import { messageOf } from '../domain/errors.ts';
import { listenersOf, type Listener } from '../compose/listeners.ts';
import { inOrder, type Part, type Running } from '../shared/parts.ts';
import { checkFlags } from '../compose/flags.ts';
import { refuseTakenPorts } from '../compose/ports.ts';
import { createProxy } from '../compose/proxy.ts';
import { lockFolder } from '../storage/folder-lock.ts';
import { version } from './version.ts';
import { runUntilStopped } from './run.ts';
import { createWelcome } from './welcome.ts';

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

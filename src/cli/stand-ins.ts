import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { Listener } from '../compose/listeners.ts';
import { refuseTakenPorts } from '../compose/ports.ts';
import { STAND_IN_SERVICES, createStandIns } from '../sandbox/stand-ins.ts';
import { inAskedFolder } from './asked-file.ts';
import type { StandInService, StandInsSettings } from '../sandbox/stand-ins.ts';

const DEFAULT_HOST = '127.0.0.1';

// The ports of the original services.
const ORIGINAL_PORTS = { session: 5574, pub: 6583, contextual: 5596, jarvis: 5598 };

interface StandInsOptions {
  readonly data: string;
  readonly host: string;
  readonly portOffset: number;
  readonly service: readonly StandInService[];
  readonly sessionPort?: number;
  readonly healthPort?: number;
  readonly pubPort?: number;
  readonly contextualPort?: number;
  readonly jarvisPort?: number;
  readonly maxSessions: number;
  readonly cleanupSeconds: number;
  readonly maxEntries: number;
  readonly saveEveryMs: number;
  readonly timeZone?: string;
  readonly memoryClient: 'stub' | 'unreachable';
  readonly fsync: boolean;
}

/** `crossfade stand-ins`: the imitated legacy services in one process, until it is stopped or its parent process exits. */
export function createStandInsCommand(): Command {
  const command = new Command('stand-ins')
    .description(
      'Run stand-ins for the three legacy memory services: session-memory, contextual-memory and jarvis-memory',
    )
    .addHelpText('after', '\nExit codes: 0 stopped by SIGTERM or SIGINT; 1 start failed (reason on stderr).')
    .option('--data <dir>', 'folder for their stores', join('data', 'stand-ins'))
    .option('--host <address>', 'address to listen on', DEFAULT_HOST)
    .addOption(
      new Option('--service <name...>', 'only these services')
        .choices(STAND_IN_SERVICES)
        .default([...STAND_IN_SERVICES], 'all'),
    );
  return behaviourOptions(portOptions(command)).action(runStandIns);
}

function portOptions(command: Command): Command {
  const { session, pub, contextual, jarvis } = ORIGINAL_PORTS;
  const options = [
    ['--session-port <port>', `port of session-memory (default: ${session} + offset)`],
    ['--health-port <port>', 'health port of session-memory (default: its port + 1)'],
    ['--pub-port <port>', `port on which session-memory publishes its state (default: ${pub} + offset)`],
    ['--contextual-port <port>', `port of contextual-memory (default: ${contextual} + offset)`],
    ['--jarvis-port <port>', `port of jarvis-memory (default: ${jarvis} + offset)`],
  ] as const;
  command.option(
    '--port-offset <n>',
    'offset, added to the ports of the original services',
    parseWholeNumber,
    10_000,
  );
  for (const [flags, description] of options) command.option(flags, description, parseWholeNumber);
  return command;
}

function behaviourOptions(command: Command): Command {
  return command
    .option('--max-sessions <n>', 'sessions that session-memory keeps at a cleanup', parseWholeNumber, 100)
    .option('--cleanup-seconds <n>', 'seconds between two cleanups of session-memory', parseSeconds, 60)
    .option(
      '--max-entries <n>',
      'interactions that contextual-memory keeps per session',
      parseWholeNumber,
      50,
    )
    .option(
      '--save-every-ms <n>',
      'milliseconds between two saves of the JSON stores; 0 saves on every write',
      parseWholeNumber,
      0,
    )
    .option(
      '--time-zone <zone>',
      'time zone of timestamps without a zone, such as Europe/Berlin (default: that of the process)',
    )
    .addOption(
      new Option('--memory-client <kind>', "how session-memory's own orchestrator client behaves")
        .choices(['stub', 'unreachable'])
        .default('stub'),
    )
    .option('--no-fsync', 'do not sync the writes of session-memory to disk');
}

async function runStandIns(options: StandInsOptions): Promise<void> {
  const settings = toSettings(options);
  const standIns = createStandIns(settings);
  await refuseTakenPorts(listenersOf(settings));
  await inAskedFolder({ option: '--data', path: options.data }, () => standIns.start());
  const ports = Object.entries(settings).map(([service, { port }]) => [service, port]);
  process.stdout.write(
    `${JSON.stringify({ ready: true, pid: process.pid, ports: Object.fromEntries(ports) })}\n`,
  );
  process.send?.({ type: 'ready' });
  await untilToldToStop();
  await standIns.stop();
  if (process.connected) process.disconnect();
}

/** The ports, each named by its option. */
function listenersOf(settings: StandInsSettings): Listener[] {
  const { 'session-memory': session, 'contextual-memory': contextual, 'jarvis-memory': jarvis } = settings;
  const ports = [
    ['--session-port', session, session?.port],
    ['--health-port', session, session?.healthPort ?? (session && session.port + 1)],
    ['--pub-port', session, session?.pubPort],
    ['--contextual-port', contextual, contextual?.port],
    ['--jarvis-port', jarvis, jarvis?.port],
  ] as const;
  return ports.flatMap(([key, service, port]) =>
    service === undefined || port === undefined ? [] : [{ key, host: service.host ?? DEFAULT_HOST, port }],
  );
}

function untilToldToStop(): Promise<void> {
  return new Promise((resolve) => {
    for (const event of ['SIGTERM', 'SIGINT', 'disconnect']) process.once(event, () => resolve());
  });
}

function toSettings(options: StandInsOptions): StandInsSettings {
  const { host, data: dataFolder, service: chosen } = options;
  const onDeath = (reason: Error): void => {
    process.stderr.write(`A stand-in died as the original does: ${reason.message}\n`);
  };
  const shared = { host, dataFolder, onDeath };
  const portOf = (name: keyof typeof ORIGINAL_PORTS): number =>
    options[`${name}Port`] ?? ORIGINAL_PORTS[name] + options.portOffset;
  const all = {
    'session-memory': {
      ...shared,
      port: portOf('session'),
      pubPort: portOf('pub'),
      maxSessions: options.maxSessions,
      cleanupSeconds: options.cleanupSeconds,
      fsync: options.fsync,
      memoryClient: options.memoryClient,
      ...(options.healthPort === undefined ? {} : { healthPort: options.healthPort }),
      ...(options.timeZone === undefined ? {} : { timeZone: options.timeZone }),
    },
    'contextual-memory': {
      ...shared,
      port: portOf('contextual'),
      maxEntries: options.maxEntries,
      saveEveryMs: options.saveEveryMs,
    },
    'jarvis-memory': { ...shared, port: portOf('jarvis'), saveEveryMs: options.saveEveryMs },
  } satisfies Required<StandInsSettings>;
  return Object.fromEntries(
    STAND_IN_SERVICES.filter((name) => chosen.includes(name)).map((name) => [name, all[name]]),
  );
}

function parseWholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError(`must be a whole number, got "${text}"`);
  return Number(text);
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (!(seconds > 0)) throw new InvalidArgumentError(`must be a number of seconds above 0, got "${text}"`);
  return seconds;
}

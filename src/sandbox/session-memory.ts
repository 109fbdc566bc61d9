import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { Publisher } from 'zeromq';
import { SerialQueue } from '../shared/serial-queue.ts';
import { dumpPythonJson, loadPythonJson } from './python-json.ts';
import { type Clock, createNaiveLocalTime, systemClock } from './python-time.ts';
import {
  asDict,
  isTruthy,
  PythonError,
  PythonFloat,
  type PythonMap,
  type PythonValue,
} from './python-values.ts';
import { createSerialServer, type SerialServer } from './serial-server.ts';
import { SessionDatabase } from './session-database.ts';
import { type MemoryClient, SessionStore } from './session-store.ts';
import type { StandIn, StandInSettings } from './stand-in.ts';
import { pythonStr } from './python-text.ts';

export interface SessionMemorySettings extends StandInSettings {
  /** The health REP of its base class. @defaultValue port + 1 */
  readonly healthPort?: number;
  /** Where it publishes its state. Absent: nothing is published, as sometimes in the original after its start-up race. */
  readonly pubPort?: number;
  /** @defaultValue 5 */
  readonly publishEverySeconds?: number;
  /** Sessions that stay in memory after a clean-up. @defaultValue 100 */
  readonly maxSessions?: number;
  /** A clean-up at the start, then one per this many seconds. @defaultValue 60 */
  readonly cleanupSeconds?: number;
  /** IANA name of the zone of its naive timestamps. @defaultValue the process's own */
  readonly timeZone?: string;
  /** Whether a commit waits for the disk, like the original's. @defaultValue true */
  readonly fsync?: boolean;
  /** @defaultValue 'stub', as in the original commit */
  readonly memoryClient?: MemoryClient;
  /** The value of health_check's `error` after a failed start-up race. @defaultValue null */
  readonly initializationError?: string | null;
  readonly clock?: Clock;
}

interface SessionMemory extends StandIn {
  /** Runs a clean-up now, in addition to the periodic ones. */
  cleanUp: () => Promise<void>;
}

const DEFAULTS = {
  host: '127.0.0.1',
  publishEverySeconds: 5,
  maxSessions: 100,
  cleanupSeconds: 60,
  fsync: true,
  memoryClient: 'stub',
  initializationError: null,
  clock: systemClock,
} as const satisfies Partial<SessionMemorySettings>;

type Options = SessionMemorySettings & Required<Pick<SessionMemorySettings, keyof typeof DEFAULTS>>;

/** Stand-in for SessionMemoryAgent v1: sessions and interactions in SQLite, with each used session completely in memory. */
export function createSessionMemory(settings: SessionMemorySettings): SessionMemory {
  const options: Options = { ...DEFAULTS, ...settings };
  const path = join(options.dataFolder, 'session_memory.db');
  const naiveLocalTime = createNaiveLocalTime(options.timeZone);
  const database = new SessionDatabase({ path, fsync: options.fsync });
  const store = new SessionStore({ ...options, database, naiveLocalTime });
  const service = new SessionService(store, options.initializationError);
  const state = (): string => stateMessage(naiveLocalTime(options.clock()), store.activeSessions, path);
  const sockets = createSockets(options, {
    main: (frame) => service.handle(frame),
    health: createBaseAgentHealth('SessionMemoryAgent', options.clock, naiveLocalTime),
    state,
  });
  let timer: NodeJS.Timeout | undefined;
  const stop = async (): Promise<void> => {
    clearInterval(timer);
    for (const socket of sockets.all.toReversed()) await socket.stop();
    await service.idle();
    database.close();
  };
  return {
    endpoint: `tcp://${options.host}:${options.port}`,
    start: async () => {
      store.reset();
      try {
        await database.open();
        await store.cleanUp();
        for (const socket of sockets.all) await socket.start();
        timer = setInterval(() => void service.cleanUp(), options.cleanupSeconds * 1000);
      } catch (error) {
        await stop();
        throw error;
      }
    },
    stop,
    setFaults: (faults) => sockets.main.setFaults(faults),
    cleanUp: () => service.cleanUp(),
  };
}

interface Sources {
  readonly main: (frame: Buffer) => Promise<string>;
  readonly health: (frame: Buffer) => string;
  readonly state: () => string;
}

interface Sockets {
  readonly main: SerialServer;
  /** In start order. */
  readonly all: readonly Pick<SerialServer, 'start' | 'stop'>[];
}

function createSockets(options: Options, sources: Sources): Sockets {
  const { host, port, healthPort = port + 1, pubPort, publishEverySeconds } = options;
  const severalFrames = 'answer_last';
  const main = createSerialServer({ ...options, handle: sources.main, severalFrames });
  const health = createSerialServer({ host, port: healthPort, handle: sources.health, severalFrames });
  if (pubPort === undefined) return { main, all: [main, health] };
  const publisher = createStatePublisher({
    endpoint: `tcp://${host}:${pubPort}`,
    everyMs: publishEverySeconds * 1000,
    message: sources.state,
  });
  return { main, all: [main, health, publisher] };
}

class SessionService {
  readonly #store: SessionStore;
  readonly #initializationError: string | null;
  /** The original cleans up in a thread of its own on the same connection. Here the two take turns. */
  readonly #queue = new SerialQueue();

  constructor(store: SessionStore, initializationError: string | null) {
    this.#store = store;
    this.#initializationError = initializationError;
  }

  async handle(frame: Buffer): Promise<string> {
    try {
      const request = asDict(loadPythonJson(frame));
      if (request.get('action') === 'health_check') return dumpPythonJson(this.#health());
      return dumpPythonJson(await this.#queue.run(() => answerRequest(this.#store, request)));
    } catch (error) {
      if (!(error instanceof PythonError)) throw error;
      return dumpPythonJson(
        new Map([
          ['status', 'error'],
          ['message', error.message],
        ]),
      );
    }
  }

  cleanUp(): Promise<void> {
    return this.#queue.run(() => this.#store.cleanUp());
  }

  /** Called when nothing uses the store any more. */
  idle(): Promise<void> {
    return this.#queue.idle();
  }

  #health(): PythonMap {
    return new Map<string, PythonValue>([
      ['status', 'ok'],
      [
        'initialization_status',
        new Map<string, PythonValue>([
          ['is_initialized', true],
          ['error', this.#initializationError],
          ['progress', new PythonFloat(1)],
          ['components', new Map([['core', true]])],
        ]),
      ],
    ]);
  }
}

function stateMessage(timestamp: string, activeSessions: number, path: string): string {
  const metrics: PythonMap = new Map<string, PythonValue>([
    ['active_sessions', activeSessions],
    ['db_path', path],
  ]);
  return dumpPythonJson(
    new Map<string, PythonValue>([
      ['component', 'session_memory_agent'],
      ['status', 'running'],
      ['timestamp', timestamp],
      ['metrics', metrics],
    ]),
  );
}

// Main loop, health, clean-up, publisher and the main thread.
const ACTIVE_THREADS = 5;

/** The health dialect of BaseAgent: any JSON counts as a request. This agent never sets the event of `initialized`. */
function createBaseAgentHealth(
  agentName: string,
  clock: Clock,
  naiveLocalTime: (epochMs: number) => string,
): (frame: Buffer) => string {
  const startedMs = clock();
  return (frame) => {
    const error = requestError(frame);
    if (error !== undefined)
      return dumpPythonJson(
        new Map([
          ['status', 'error'],
          ['error', error],
        ]),
      );
    const nowMs = clock();
    return dumpPythonJson(
      new Map<string, PythonValue>([
        ['status', 'ok'],
        ['ready', true],
        ['initialized', false],
        ['message', `${agentName} is healthy`],
        ['timestamp', naiveLocalTime(nowMs)],
        ['uptime', new PythonFloat((nowMs - startedMs) / 1000)],
        ['active_threads', ACTIVE_THREADS],
      ]),
    );
  };
}

function requestError(frame: Buffer): string | undefined {
  try {
    loadPythonJson(frame);
    return undefined;
  } catch (error) {
    if (!(error instanceof PythonError)) throw error;
    return error.message.startsWith("'utf-8' codec") ? 'Invalid UTF-8 request' : 'Invalid JSON request';
  }
}

interface StatePublisherSettings {
  readonly endpoint: string;
  readonly everyMs: number;
  readonly message: () => string;
}

interface StatePublisher {
  start: () => Promise<void>;
  stop: () => Promise<void>;
}

/** Publishes the state as one frame without a topic, at once and then periodically. */
function createStatePublisher(settings: StatePublisherSettings): StatePublisher {
  const { endpoint, everyMs, message } = settings;
  let socket: Publisher | undefined;
  let timer: NodeJS.Timeout | undefined;
  let sending: Promise<void> = Promise.resolve();
  const publish = (): void => {
    sending = sending.then(() => socket?.send(message())).catch(() => undefined);
  };
  return {
    start: async () => {
      const publisher = new Publisher({ linger: 0 });
      try {
        await publisher.bind(endpoint);
      } catch (error) {
        publisher.close();
        throw error;
      }
      socket = publisher;
      publish();
      timer = setInterval(publish, everyMs);
    },
    stop: async () => {
      clearInterval(timer);
      await sending;
      await socket?.unbind(endpoint);
      socket?.close();
      socket = undefined;
    },
  };
}

const DEFAULT_MAX_TOKENS = 2000;

type Action = (store: SessionStore, request: PythonMap) => Promise<PythonMap>;

const ACTIONS: ReadonlyMap<PythonValue, Action> = new Map<PythonValue, Action>([
  ['create_session', createSession],
  ['add_interaction', addInteraction],
  ['get_context', getContext],
  ['clear_session', onSession((store, sessionId) => store.clear(sessionId))],
  ['delete_session', onSession((store, sessionId) => store.delete(sessionId))],
]);

/** Executes one request and makes the reply, which always ends with the request's id, or "" if it has none. */
async function answerRequest(store: SessionStore, request: PythonMap): Promise<PythonMap> {
  const name = valueOr(request, 'action', '');
  const action = ACTIONS.get(name);
  const reply =
    action === undefined ? refusal(`Unknown action: ${pythonStr(name)}`) : await action(store, request);
  return reply.set('request_id', valueOr(request, 'request_id', ''));
}

async function createSession(store: SessionStore, request: PythonMap): Promise<PythonMap> {
  const id = await store.create({
    sessionId: valueOr(request, 'session_id', randomUUID()),
    userId: valueOr(request, 'user_id', 'default'),
    metadata: valueOr(request, 'metadata', null),
  });
  return outcome(isTruthy(id)).set('session_id', id);
}

async function addInteraction(store: SessionStore, request: PythonMap): Promise<PythonMap> {
  const sessionId = valueOr(request, 'session_id', null);
  const role = valueOr(request, 'role', null);
  const content = valueOr(request, 'content', null);
  if (![sessionId, role, content].every(isTruthy)) return refusal('Missing required parameters');
  const metadata = valueOr(request, 'metadata', null);
  return outcome(await store.add({ sessionId, role, content, metadata }));
}

async function getContext(store: SessionStore, request: PythonMap): Promise<PythonMap> {
  const sessionId = valueOr(request, 'session_id', null);
  if (!isTruthy(sessionId)) return refusal('Missing session_id');
  const context = await store.context(sessionId, valueOr(request, 'max_tokens', DEFAULT_MAX_TOKENS));
  return outcome(true).set('context', context);
}

function onSession(act: (store: SessionStore, sessionId: PythonValue) => Promise<boolean>): Action {
  return async (store, request) => {
    const sessionId = valueOr(request, 'session_id', null);
    return isTruthy(sessionId) ? outcome(await act(store, sessionId)) : refusal('Missing session_id');
  };
}

function outcome(isDone: boolean): PythonMap {
  return new Map([['status', isDone ? 'success' : 'error']]);
}

function refusal(message: string): PythonMap {
  return new Map([
    ['status', 'error'],
    ['message', message],
  ]);
}

function valueOr(request: PythonMap, key: string, absent: PythonValue): PythonValue {
  const value = request.get(key);
  return value === undefined ? absent : value;
}

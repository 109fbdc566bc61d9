import pino from 'pino';
import { Dealer } from 'zeromq';
import { parseTolerantly } from '../../src/domain/json.ts';
import { createOrchestrator } from '../../src/orchestrator/orchestrator.ts';
import { defaultsOf, type Settings, SettingsSchema } from '../../src/orchestrator/settings.ts';
import { freePorts } from './ports.ts';
import { startPostgres, type TestPostgres } from './postgres.ts';
import type { DatabaseKind } from './tier.ts';

export interface Memory {
  readonly memory_id: string;
  readonly content: Record<string, unknown>;
  readonly [field: string]: unknown;
}

export interface AnswerData {
  readonly memory_id: string;
  readonly session_id: string;
  readonly created_at: string;
  readonly memories: readonly Memory[];
  readonly items: readonly Memory[];
  readonly results: readonly Record<string, unknown>[];
  readonly next_cursor?: string;
  readonly [field: string]: unknown;
}

export interface Answer {
  readonly status: string;
  readonly action: string;
  readonly request_id: unknown;
  readonly data: AnswerData;
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly details: Record<string, unknown>;
  };
  /** The reply as it came over the wire. */
  readonly text: string;
}

export interface LaneMember {
  readonly key: string;
  readonly epoch?: number;
  readonly generation: number;
  readonly sequence?: number;
  readonly operation_id?: string;
}

export interface Envelope {
  readonly session_id?: string | null;
  readonly request_id?: string;
  readonly lane?: LaneMember | undefined;
  readonly deadline_ms?: number;
}

export interface OrchestratorClient {
  /** One request as text, over a DEALER socket with a correlation frame. */
  readonly send: (text: string) => Promise<Answer>;
  readonly ask: (action: string, payload?: object, envelope?: Envelope) => Promise<Answer>;
  close(): void;
}

export interface TestOrchestrator extends OrchestratorClient {
  readonly port: number;
  readonly httpPort: number;
  stop(): Promise<void>;
}

/** A memory written with the escape may bring back NaN. */
export function answerOf(text: string): Answer {
  return { ...(parseTolerantly(text) as Omit<Answer, 'text'>), text };
}

export function connectOrchestrator(port: number): OrchestratorClient {
  const socket = new Dealer({ linger: 0 });
  socket.connect(`tcp://127.0.0.1:${port}`);
  const waiting = new Map<string, (answer: Answer) => void>();
  let asked = 0;
  let sending: Promise<void> = Promise.resolve();

  async function receive(): Promise<void> {
    for await (const [correlation, , body] of socket) {
      const resolve = waiting.get(String(correlation));
      waiting.delete(String(correlation));
      resolve?.(answerOf(String(body)));
    }
  }
  receive().catch(() => {});

  function send(text: string): Promise<Answer> {
    const correlation = String(++asked);
    return new Promise((resolve, reject) => {
      waiting.set(correlation, resolve);
      sending = sending.then(() => socket.send([correlation, '', text])).catch(reject);
    });
  }

  return {
    send,
    ask: (action, payload = {}, envelope = {}) => send(JSON.stringify({ action, ...envelope, payload })),
    close: () => socket.close(),
  };
}

type DatabaseSettings =
  { readonly kind: 'postgres'; readonly url: string } | { readonly kind: 'pglite'; readonly folder?: string };

/** Settings that differ from the defaults, by section. */
export type Differing = { readonly [Section in keyof Settings]?: Partial<Settings[Section]> };

/** The default settings with some changed. */
export function settingsWith(...differing: readonly Differing[]): Settings {
  const settings = defaultsOf(SettingsSchema) as Record<string, object>;
  for (const [section, values] of differing.flatMap((sections) => Object.entries(sections)))
    settings[section] = { ...settings[section], ...values };
  return settings as unknown as Settings;
}

export interface Started {
  readonly database: DatabaseSettings;
  readonly settings?: Differing;
}

/** An orchestrator in this process, with a client of it. */
export async function startOrchestrator({ database, settings = {} }: Started): Promise<TestOrchestrator> {
  const [port = 0, httpPort = 0] = await freePorts(2);
  const storage =
    database.kind === 'postgres' ? { databaseUrl: database.url } : { folder: database.folder ?? ':memory:' };
  const orchestrator = createOrchestrator({
    settings: settingsWith(
      { storage, listen: { host: '127.0.0.1', port, httpPort }, embeddings: { provider: 'off' } },
      settings,
    ),
    version: 'test',
    log: pino({ level: process.env['TEST_LOG'] ?? 'silent' }),
  });
  await orchestrator.start();
  const client = connectOrchestrator(port);
  return {
    ...client,
    port,
    httpPort,
    async stop() {
      client.close();
      await orchestrator.stop();
    },
  };
}

/** Starts orchestrators on either database, and ends them all together. */
export interface Stage {
  start(kind: DatabaseKind, settings?: Differing): Promise<TestOrchestrator>;
  stop(): Promise<void>;
}

export function createStage(): Stage {
  let postgres: TestPostgres | undefined;
  const started: TestOrchestrator[] = [];
  return {
    async start(kind, settings = {}) {
      if (kind === 'postgres') postgres ??= await startPostgres();
      const database =
        postgres !== undefined && kind === 'postgres'
          ? ({ kind, url: await postgres.createDatabase() } as const)
          : ({ kind: 'pglite' } as const);
      const orchestrator = await startOrchestrator({ database, settings });
      started.push(orchestrator);
      return orchestrator;
    },
    async stop() {
      for (const orchestrator of started) await orchestrator.stop();
      await postgres?.stop();
    },
  };
}

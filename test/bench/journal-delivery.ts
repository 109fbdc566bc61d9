import { setTimeout as sleep } from 'node:timers/promises';
import { ConnectionError, ValidationError } from '../../src/domain/errors.ts';
import { createCoverageStore } from '../../src/storage/coverage.ts';
import { createReplicaStore } from '../../src/storage/replicas.ts';
import type { Database } from '../../src/storage/database.ts';
import type { Migration } from '../../src/engine/migration.ts';
import type { Orchestrator } from '../../src/engine/ports/ports.ts';
import type { ReplicaIdentity } from '../../src/engine/ports/replica-ports.ts';
import type { PostgresJournal } from '../../src/storage/journal/journal.ts';
import { engineBetween, noopOrchestrator, requestOf, SERVICE } from './engine-fixture.ts';
import { Recorder, type Sample } from './samples.ts';

export interface Stores {
  readonly database: Database;
  readonly journal: PostgresJournal;
  readonly replica: ReplicaIdentity;
}

const LANES = 256;
const HOUR_LEFT = 30_000;

/** As after an outage of the orchestrator: lanes with applied writes that wait, in the journal alone. */
async function fill(database: Database, name: string): Promise<void> {
  await database.query(
    `with made as (
       insert into lanes (key, service, owner, sequence, seeded_coverage)
       select $1 || '/' || $2 || n, $1, $2 || n, $3::int / $4::int, (select max(number) from coverage where service = $1)
       from generate_series(1, $4::int) n returning id, owner, sequence
     ), stored as (
       insert into writes (lane_id, sequence, operation_id, action, request, accepted_at, replica)
       select id, n, gen_random_uuid(), 'add_interaction',
         json_build_object('action', 'add_interaction', 'session_id', owner, 'role', 'user', 'content', 'item ' || n)::text,
         now(), gen_random_uuid()
       from made cross join generate_series(1, sequence) n
     )
     insert into outcomes (lane_id, sequence, outcome) select id, n, 'applied' from made cross join generate_series(1, sequence) n`,
    [SERVICE, name, HOUR_LEFT, LANES],
  );
}

/** Deliveries a second while an engine catches up with what it finds at its start. */
export async function deliver(stores: Stores, round: number): Promise<number> {
  const { database } = stores;
  await database.query('insert into coverage (service, quiet_at) values ($1, now()) on conflict do nothing', [
    SERVICE,
  ]);
  const name = `waiting-${round}-`;
  await fill(database, name);
  const { migration } = startable(stores, noopOrchestrator());
  const startedAtMs = performance.now();
  await migration.start();
  for (;;) {
    const [left] = await database.query<{ count: number }>(
      `select count(*) as count from lanes where owner like $1 and delivered_sequence < sequence`,
      [`${name}%`],
    );
    if (left?.count === 0) break;
    await sleep(5);
  }
  const seconds = (performance.now() - startedAtMs) / 1_000;
  await migration.stop();
  await stores.journal.drain();
  return (Math.floor(HOUR_LEFT / LANES) * LANES) / seconds;
}

function startable({ database, journal, replica }: Stores, orchestrator: Orchestrator) {
  return engineBetween({
    journal,
    replica,
    orchestrator,
    coverageStore: createCoverageStore(database),
    replicas: createReplicaStore({ database }),
    flagsOn: ['dual-write'],
  });
}

const WRITERS = 16;
/** Far below what either side can do: what is measured is waiting for others, not for the processor. */
const PAUSE_MS = 25;
const POISONED = 'poisoned';

/** Refuses every write of the poisoned lanes for good, and with it the batch that holds one. */
function poisonedOrchestrator(): Orchestrator {
  const noop = noopOrchestrator();
  return {
    ...noop,
    async batchWrite(operations, options) {
      const operation = operations.findIndex(({ lane }) => lane?.key.includes(POISONED) === true);
      if (operation >= 0) throw new ValidationError('poison', { details: { operation } });
      return noop.batchWrite(operations, options);
    },
  };
}

export interface PoisonSample {
  /** Of the others' writes: until the agent has its reply. */
  readonly written: Sample;
  /** Until the orchestrator has it, from the reply on. */
  readonly delivered: Sample;
}

/** What agents of healthy lanes wait for, while one more lane is poisoned or is not. */
export class PoisonStage {
  readonly #stores: Stores;
  readonly #migration: Migration;
  readonly #repliedAtMs = new Map<string, number>();
  #delivered = new Recorder();
  #rounds = 0;

  constructor(stores: Stores) {
    this.#stores = stores;
    const { migration, events } = startable(stores, poisonedOrchestrator());
    this.#migration = migration;
    events.subscribe((name, event) => {
      if (name !== 'delivery:applied') return;
      const { lane, sequence } = event as { lane: string; sequence: number };
      const repliedAtMs = this.#repliedAtMs.get(`${lane} ${sequence}`);
      this.#repliedAtMs.delete(`${lane} ${sequence}`);
      if (repliedAtMs !== undefined) this.#delivered.add(performance.now() - repliedAtMs);
    });
    events.subscribe((name, event) => {
      if (name !== 'write:answered') return;
      const { lane, sequence } = event as { lane: string; sequence: number };
      if (!lane.includes(POISONED)) this.#repliedAtMs.set(`${lane} ${sequence}`, performance.now());
    });
  }

  async start(): Promise<void> {
    await this.#migration.start();
    for (let writer = 0; writer < WRITERS; writer += 1) await this.#open(`healthy-${writer}`);
  }

  async stop(): Promise<void> {
    await this.#migration.stop();
    await this.#stores.journal.drain();
  }

  async measure(seconds: number, isPoisoned: boolean): Promise<PoisonSample> {
    this.#delivered = new Recorder();
    const written = new Recorder();
    const endAtMs = performance.now() + seconds * 1_000;
    const healthy = Array.from({ length: WRITERS }, (_, writer) =>
      this.#write(`healthy-${writer}`, endAtMs, written),
    );
    const poison = isPoisoned ? this.#poison(endAtMs) : Promise.resolve();
    await Promise.all([...healthy, poison]);
    return { written: written.sample(seconds), delivered: this.#delivered.sample(seconds) };
  }

  /** A new lane every so often, each of which becomes a dead letter with others waiting behind it. */
  async #poison(endAtMs: number): Promise<void> {
    while (performance.now() < endAtMs) {
      const owner = `${POISONED}-${(this.#rounds += 1)}`;
      await this.#open(owner);
      await this.#write(owner, Math.min(endAtMs, performance.now() + 250), new Recorder());
    }
  }

  async #open(owner: string): Promise<void> {
    await this.#ask({
      action: 'create_session',
      session_id: owner,
      user_id: 'ann',
      metadata: {},
      request_id: 'r1',
    });
  }

  async #write(owner: string, endAtMs: number, recorder: Recorder): Promise<void> {
    for (let count = 0; performance.now() < endAtMs; count += 1) {
      await sleep(PAUSE_MS * (0.5 + Math.random()));
      const startedAtMs = performance.now();
      await this.#ask({
        action: 'add_interaction',
        session_id: owner,
        role: 'user',
        content: `item ${count}`,
        request_id: 'r1',
      });
      recorder.add(performance.now() - startedAtMs);
    }
  }

  async #ask(fields: Readonly<Record<string, unknown>>): Promise<void> {
    const reply = await this.#migration.handle({ ...requestOf(fields), receivedAtMs: performance.now() });
    if (!reply.body.includes('success')) throw new ConnectionError(String(reply.body), { effect: 'unknown' });
  }
}

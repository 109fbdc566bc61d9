import { randomUUID } from 'node:crypto';
import { replicaId } from '../../src/domain/ids.ts';
import { ReplicaIdentity } from '../../src/engine/ports/replica-ports.ts';
import { applySchema } from '../../src/storage/apply-schema.ts';
import { createPostgresDatabase } from '../../src/storage/database.ts';
import { PostgresJournal } from '../../src/storage/journal/journal.ts';
import { PLAIN } from '../../src/storage/seal.ts';
import { createProgressBar } from '../support/progress.ts';
import { startPostgres } from '../support/postgres.ts';
import { atLeast, atMost, printGoals, printTable, type Goal } from './goals.ts';
import { BareLoop } from './journal-bare.ts';
import { deliver, PoisonStage, type PoisonSample, type Stores } from './journal-delivery.ts';
import { journalOptions, type JournalOptions } from './journal-options.ts';
import { throughBareLoop, throughJournal, writeFor, type WriteOnce } from './journal-writers.ts';
import { medianOf, paired, runRounds, type Cell, type Measured } from './rounds.ts';
import { median, rounded } from './samples.ts';

// npm run bench:journal -- [--rounds N] [--seconds-per-cell S] [--json]

const WRITERS = [1, 16, 64, 256];
const PATHS = ['journal', 'bare loop'] as const;
const SCHEMA = new URL('../../src/storage/schema/', import.meta.url);
/** As the proxy's default. */
const POOL_SIZE = 4;

interface WriterCell extends Cell {
  readonly write: WriteOnce;
}

async function measureWriters(writes: readonly WriteOnce[], { rounds, secondsPerCell }: JournalOptions) {
  const cells: WriterCell[] = WRITERS.flatMap((clients) =>
    PATHS.map((path, index) => ({
      path,
      clients,
      group: String(clients),
      write: writes[index] ?? (() => Promise.reject(new Error(`Nobody writes through ${path}`))),
    })),
  );
  // Plans are made, pages are allocated and code is compiled before anything counts.
  for (const { clients, write } of cells) await writeFor(0.3, clients, write);
  return runRounds({
    cells,
    rounds,
    measure: ({ clients, write }) => writeFor(secondsPerCell, clients, write),
  });
}

function pairOf(measured: readonly Measured[], writers: number): [Measured, Measured] {
  const [journal, bare] = PATHS.map((path) =>
    measured.find(({ cell }) => cell.path === path && cell.clients === writers),
  );
  if (journal === undefined || bare === undefined) throw new Error(`${writers} writers were not measured`);
  return [journal, bare];
}

function writerGoals(measured: readonly Measured[]): Goal[] {
  const shares = WRITERS.map((writers) =>
    atLeast(
      `intents a second beside the bare loop, ${writers} writers`,
      0.8,
      paired(pairOf(measured, writers), (journal, bare) => journal.perSecond / bare.perSecond),
    ),
  );
  const p50 = (writers: number): number => medianOf(pairOf(measured, writers)[0], ({ p50Ms }) => p50Ms);
  return [...shares, atMost('p50 at 1 writer, ms', 0.8, p50(1)), atMost('p50 at 64 writers, ms', 5, p50(64))];
}

interface Poisoned {
  readonly without: PoisonSample[];
  readonly beside: PoisonSample[];
}

async function measurePoison(stores: Stores, { rounds, secondsPerCell }: JournalOptions): Promise<Poisoned> {
  const stage = new PoisonStage(stores);
  await stage.start();
  const samples: Poisoned = { without: [], beside: [] };
  const bar = createProgressBar(rounds);
  await stage.measure(0.5, true);
  for (let round = 0; round < rounds; round += 1) {
    bar.show(round, 'a poisoned lane beside healthy ones');
    for (const isPoisoned of round % 2 === 0 ? [false, true] : [true, false])
      samples[isPoisoned ? 'beside' : 'without'].push(await stage.measure(secondsPerCell, isPoisoned));
  }
  bar.end();
  await stage.stop();
  return samples;
}

/** Medians over the rounds. */
function poisonTable({ without, beside }: Poisoned) {
  const p99 = (samples: readonly PoisonSample[], of: keyof PoisonSample): number =>
    median(samples.map((sample) => sample[of].p99Ms));
  return (['written', 'delivered'] as const).map((of) => ({
    of,
    without_p99_ms: rounded(p99(without, of)),
    beside_p99_ms: rounded(p99(beside, of)),
  }));
}

function poisonGoals(table: ReturnType<typeof poisonTable>): Goal[] {
  return table.map(({ of, without_p99_ms, beside_p99_ms }) =>
    atMost(
      `p99 of healthy lanes beside a poisoned one, ${of}: times that without`,
      1.25,
      beside_p99_ms / without_p99_ms,
    ),
  );
}

async function measureDeliveries(stores: Stores, rounds: number): Promise<number> {
  const perSecond: number[] = [];
  const bar = createProgressBar(rounds);
  for (let round = 0; round < rounds; round += 1) {
    bar.show(round, 'deliveries');
    perSecond.push(await deliver(stores, round));
  }
  bar.end();
  return median(perSecond);
}

function tableOf(measured: readonly Measured[]) {
  return measured.map((one) => ({
    path: one.cell.path,
    writers: one.cell.clients,
    per_second: rounded(
      medianOf(one, ({ perSecond }) => perSecond),
      0,
    ),
    p50_ms: rounded(medianOf(one, ({ p50Ms }) => p50Ms)),
    p99_ms: rounded(medianOf(one, ({ p99Ms }) => p99Ms)),
  }));
}

async function run(options: JournalOptions): Promise<void> {
  const postgres = await startPostgres();
  try {
    const url = await postgres.createDatabase('journal');
    const database = createPostgresDatabase({ url, poolSize: POOL_SIZE, prepares: true });
    await applySchema(database, SCHEMA);
    const replica = new ReplicaIdentity(() => replicaId(randomUUID()));
    const journal = new PostgresJournal({ database, replica, seal: PLAIN });
    const bare = new BareLoop(url);
    await bare.start();
    const measured = await measureWriters([throughJournal(journal), throughBareLoop(bare)], options);
    await journal.drain();
    await bare.stop();
    // What was written there is nobody's to deliver.
    await database.script('truncate lanes, writes, outcomes');
    const stores = { database, journal, replica };
    const perSecond = await measureDeliveries(stores, Math.min(options.rounds, 3));
    const poisoned = await measurePoison(stores, options);
    await database.close();
    report(options, { measured, perSecond, poisoned });
  } finally {
    await postgres.stop();
  }
}

interface Results {
  readonly measured: readonly Measured[];
  readonly perSecond: number;
  readonly poisoned: Poisoned;
}

function report({ rounds, isJson }: JournalOptions, { measured, perSecond, poisoned }: Results): void {
  const cells = tableOf(measured);
  printTable(
    ['path', 'writers', 'intents/s', 'p50 ms', 'p99 ms'],
    cells.map(({ path, writers, per_second, p50_ms, p99_ms }) => [path, writers, per_second, p50_ms, p99_ms]),
  );
  const healthy = poisonTable(poisoned);
  printTable(
    ['healthy lanes', 'p99 ms without a poisoned one', 'p99 ms beside one'],
    healthy.map(({ of, without_p99_ms, beside_p99_ms }) => [of, without_p99_ms, beside_p99_ms]),
  );
  const goals = [
    ...writerGoals(measured),
    atLeast('deliveries a second into an orchestrator that does nothing', 5_000, perSecond),
    ...poisonGoals(healthy),
  ];
  printGoals(goals);
  if (isJson)
    console.log(
      JSON.stringify({ rounds, cells, deliveries_per_second: rounded(perSecond, 0), healthy, goals }),
    );
}

await run(journalOptions());

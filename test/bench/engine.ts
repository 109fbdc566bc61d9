import { setImmediate as nextTick } from 'node:timers/promises';
import {
  createMigration as createLaunchDarkly,
  init,
  integrations,
  LDConcurrentExecution,
  LDMigrationStage,
  LDMigrationSuccess,
  type LDClient,
} from '@launchdarkly/node-server-sdk';
import type { ServiceFlag } from '../../src/domain/flags.ts';
import type { AgentReply, AgentRequest } from '../../src/engine/ports/operation.ts';
import { createProgressBar } from '../support/progress.ts';
import { aloneWithout, engineBetween, requestOf } from './engine-fixture.ts';
import { atMost, printGoals, printTable } from './goals.ts';
import { roundOptions } from './options.ts';
import { median, rounded } from './samples.ts';

// npm run bench:engine -- [--rounds N] [--json] [--help]: what the engine itself costs, beside LaunchDarkly's migration helper.

const OPERATIONS = 2_000;
const WARM_UP = 30_000;
/** Background work of so many operations may be under way: what is put off is done within the measured time. */
const STRIDE = 64;
const LANES = 64;
const MOST_OF_THEIRS = 0.5;

/** As every frontend does: until then the engine does not know whether the agent will ask again. */
function tellDelivered(reply: AgentReply): void {
  reply.delivered?.(true);
}

/** One stage of a migration, and what either side calls it. */
interface Stage {
  readonly name: string;
  readonly kind: 'read' | 'write';
  readonly flags: readonly ServiceFlag[];
  readonly theirs: LDMigrationStage;
}

const STAGES: readonly Stage[] = [
  { name: 'off, read', kind: 'read', flags: [], theirs: LDMigrationStage.Off },
  { name: 'off, write', kind: 'write', flags: [], theirs: LDMigrationStage.Off },
  { name: 'dual_write, read', kind: 'read', flags: ['dual-write'], theirs: LDMigrationStage.DualWrite },
  { name: 'dual_write, write', kind: 'write', flags: ['dual-write'], theirs: LDMigrationStage.DualWrite },
  {
    name: 'shadow_read, read',
    kind: 'read',
    flags: ['dual-write', 'shadow-read'],
    theirs: LDMigrationStage.Shadow,
  },
  {
    name: 'shadow_read, write',
    kind: 'write',
    flags: ['dual-write', 'shadow-read'],
    theirs: LDMigrationStage.Shadow,
  },
  {
    name: 'read_cutover, read',
    kind: 'read',
    flags: ['dual-write', 'shadow-read', 'read-cutover'],
    theirs: LDMigrationStage.Live,
  },
  {
    name: 'read_cutover, write',
    kind: 'write',
    flags: ['dual-write', 'shadow-read', 'read-cutover'],
    theirs: LDMigrationStage.Live,
  },
];

/** Runs so many operations to their end, with all that is put off behind them. */
type Work = (operations: number) => Promise<void>;

interface Contender {
  readonly name: 'crossfade' | 'launchdarkly';
  readonly run: Work;
  stop(): Promise<void>;
}

function requestsOf(kind: Stage['kind']): ReturnType<typeof requestOf>[] {
  return Array.from({ length: LANES }, (_, lane) =>
    requestOf(
      kind === 'read'
        ? { action: 'get_context', session_id: `session-${lane}`, request_id: 'r1' }
        : {
            action: 'add_interaction',
            session_id: `session-${lane}`,
            role: 'user',
            content: 'Where did we leave off yesterday?',
            metadata: {},
            request_id: 'r1',
          },
    ),
  );
}

async function crossfade({ kind, flags }: Stage): Promise<Contender> {
  const { migration, events } = engineBetween({ ...aloneWithout(flags.length > 0), flagsOn: flags });
  let dropped = 0;
  events.subscribe((name) => {
    if (name === 'shadow:dropped') dropped += 1;
  });
  await migration.start();
  const requests = requestsOf(kind);
  // A lane's first write makes it known.
  for (const request of requestsOf('write'))
    tellDelivered(await migration.handle({ ...request, receivedAtMs: performance.now() }));
  const quiet = async (): Promise<void> => {
    while (migration.backlog().deliveries + migration.backlog().shadowReads > 0) await nextTick();
  };
  await quiet();
  const { length } = requests;
  return {
    name: 'crossfade',
    stop: () => migration.stop(),
    async run(operations) {
      for (let done = 0; done < operations; done += 1) {
        const request = requests[done % length];
        if (request === undefined) return;
        tellDelivered(
          await migration.handle({ ...request, receivedAtMs: performance.now() } satisfies AgentRequest),
        );
        if (done % STRIDE === STRIDE - 1 && kind === 'read') await quiet();
      }
      await quiet();
      if (dropped > 0) throw new Error(`${dropped} shadow reads were dropped: they were not measured`);
    },
  };
}

async function launchDarkly(stage: Stage): Promise<Contender> {
  const data = new integrations.TestData();
  await data.update(data.flag('stage').valueForAll(stage.theirs));
  const client: LDClient = init('offline', {
    updateProcessor: data.getFactory(),
    sendEvents: false,
    diagnosticOptOut: true,
    logger: { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} },
  });
  await client.waitForInitialization({ timeout: 5 });
  const stored = LDMigrationSuccess('{"status": "success"}');
  const migration = createLaunchDarkly<string, string, number, number>(client, {
    readOld: async () => stored,
    readNew: async () => stored,
    writeOld: async () => stored,
    writeNew: async () => stored,
    check: (old, other) => old === other,
    execution: new LDConcurrentExecution(),
    latencyTracking: true,
    errorTracking: true,
  });
  const contexts = Array.from({ length: LANES }, (_, lane) => ({ kind: 'user', key: `session-${lane}` }));
  return {
    name: 'launchdarkly',
    stop: async () => client.close(),
    async run(operations) {
      for (let done = 0; done < operations; done += 1) {
        const context = contexts[done % LANES];
        if (context === undefined) return;
        await migration[stage.kind]('stage', context, LDMigrationStage.Off, done);
        if (done % STRIDE === STRIDE - 1) await nextTick();
      }
    },
  };
}

/** Microseconds of one operation. */
async function timed({ run }: Contender): Promise<number> {
  const startedAtMs = performance.now();
  await run(OPERATIONS);
  return ((performance.now() - startedAtMs) * 1_000) / OPERATIONS;
}

async function measureAll(rounds: number) {
  const pairs = await Promise.all(
    STAGES.map(async (stage) => ({
      stage,
      contenders: [await crossfade(stage), await launchDarkly(stage)],
      microseconds: { crossfade: [] as number[], launchdarkly: [] as number[] },
    })),
  );
  const bar = createProgressBar(rounds * pairs.length);
  // Compilers take their time: what counts is what a proxy costs that has run for a while.
  for (const { contenders } of pairs) for (const { run } of contenders) await run(WARM_UP);
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, { stage, contenders, microseconds }] of pairs.entries()) {
      bar.show(round * pairs.length + index, stage.name);
      for (const contender of round % 2 === 0 ? contenders : contenders.toReversed())
        microseconds[contender.name].push(await timed(contender));
    }
  }
  bar.end();
  for (const { contenders } of pairs) for (const contender of contenders) await contender.stop();
  return pairs.map(({ stage, microseconds }) => {
    const ratios = microseconds.crossfade.map(
      (ours, round) => ours / (microseconds.launchdarkly[round] ?? Number.NaN),
    );
    return {
      stage: stage.name,
      crossfade_us: rounded(median(microseconds.crossfade), 2),
      launchdarkly_us: rounded(median(microseconds.launchdarkly), 2),
      ratio: rounded(median(ratios)),
    };
  });
}

const { rounds, isJson } = roundOptions({
  name: 'engine',
  what: "Measures what the engine adds to an operation, compared with LaunchDarkly's createMigration. The backends of both do nothing.",
  rounds: 20,
});
const results = await measureAll(rounds);
const goals = results.map(({ stage, ratio }) =>
  atMost(`${stage}: share of LaunchDarkly's time`, MOST_OF_THEIRS, ratio),
);
printTable(
  ['stage', 'crossfade µs', 'launchdarkly µs', 'ratio'],
  results.map(({ stage, crossfade_us, launchdarkly_us, ratio }) => [
    stage,
    crossfade_us,
    launchdarkly_us,
    ratio,
  ]),
);
printGoals(goals);
if (isJson) console.log(JSON.stringify({ rounds, operations: OPERATIONS, stages: results, goals }));

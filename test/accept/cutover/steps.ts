import { setTimeout as sleep } from 'node:timers/promises';
import { SERVICES } from './goals.ts';
import { complete, findForeignWriter, makeReadOnly } from './ending.ts';
import type { Compared, Stage } from './stage.ts';

const LEGACY_AWAY_MS = 30_000;
/** A lane that could not return yet is tried again after a pause of up to a minute. */
const ROLLBACK_ATTEMPTS = 3;

/** One step of a service's life. */
export interface Step {
  readonly name: string;
  /** Of the dialogues, percent. Together 100. */
  readonly share: number;
  readonly compared: Compared;
  work(stage: Stage): Promise<void>;
}

export const STEPS: readonly Step[] = [
  { name: 'off', share: 10, compared: 'legacy', work: async () => undefined },
  { name: 'dual-write', share: 6, compared: 'legacy', work: beginDualWrites },
  { name: 'backfill', share: 4, compared: 'both', work: backfill },
  { name: 'shadow-read', share: 14, compared: 'both', work: shadow },
  { name: 'read-cutover 100 %', share: 16, compared: 'both', work: moveReads },
  { name: 'write-cutover 25 %', share: 6, compared: 'both', work: (stage) => moveWrites(stage, 25) },
  { name: 'write-cutover 50 %', share: 6, compared: 'both', work: (stage) => moveWrites(stage, 50) },
  { name: 'rollback, orchestrator killed', share: 6, compared: 'both', work: returnAll },
  { name: 'write-cutover 100 %', share: 8, compared: 'both', work: moveWritesAgain },
  { name: 'legacy stopped for 30 s', share: 10, compared: 'both', work: stopLegacyForAWhile },
  { name: 'read-only', share: 4, compared: 'closed', work: makeReadOnly },
  { name: 'a foreign writer', share: 2, compared: 'read_only', work: findForeignWriter },
  { name: 'complete', share: 4, compared: 'read_only', work: complete },
  { name: 'legacy shut down', share: 4, compared: 'read_only', work: shutLegacyDown },
];

async function beginDualWrites({ parts: { operator } }: Stage): Promise<void> {
  await operator.raise('dual-write', 100);
  await operator.until('writes are journaled', ({ coverage }) => coverage > 0);
}

async function backfill({ parts: { operator } }: Stage): Promise<void> {
  const { code, stdout } = await operator.change('backfill');
  if (code !== 0) throw new Error(`the backfill left something out:\n${stdout}`);
}

async function shadow({ parts: { operator } }: Stage): Promise<void> {
  await operator.raise('shadow-read', 100);
}

/** The interlocks need a full reconciliation and the evidence of every action. */
async function moveReads({ parts: { operator } }: Stage): Promise<void> {
  await operator.change('reconcile');
  await operator.raise('read-cutover', 100);
}

async function moveWrites(stage: Stage, percent: number): Promise<void> {
  await stage.whileFlipping(async () => {
    const { operator } = stage.parts;
    await operator.raise('write-cutover', percent);
    await operator.until(
      `every lane inside ${percent} % has moved`,
      ({ flips }) =>
        flips?.share === percent && flips.lanes.eligible + flips.lanes.waiting + flips.lanes.stuck === 0,
    );
  });
}

/** The orchestrator is killed, and every lane returns without it. */
async function returnAll(stage: Stage): Promise<void> {
  const { world, operator, traffic, say } = stage.parts;
  traffic.isPatient = true;
  await world.orchestrator.kill();
  try {
    await Promise.all(SERVICES.map((service) => returnLanes(stage, service)));
    await stage.compare('rollback, before the orchestrator is back', 'legacy');
  } finally {
    await world.orchestrator.start();
  }
  // A call that failed late may trip the guard after a first release.
  await operator.until(
    'every lane copied from legacy, and no latch',
    ({ lanes, guard }) => lanes?.seeded === lanes?.total && guard?.held_by === null,
    undefined,
    () => operator.releaseLatches(),
  );
  traffic.isPatient = false;
  say(`${operator.latchesReleased} latches were released after the orchestrator had been killed`);
}

async function returnLanes({ parts: { operator, say } }: Stage, service: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const { code, stdout } = await operator.change('rollback', service, '--all');
    if (code === 0) return say(stdout.trim().split('\n').at(-2) ?? '');
    if (attempt === ROLLBACK_ATTEMPTS) throw new Error(`lanes of ${service} have not returned:\n${stdout}`);
  }
}

/** Lanes that have returned must be compared again. One reconciliation compares them faster than one by one. */
async function moveWritesAgain(stage: Stage): Promise<void> {
  const { operator } = stage.parts;
  await operator.change('reconcile');
  for (const service of SERVICES) await operator.change('flips', 'lift', service);
  await moveWrites(stage, 100);
}

async function stopLegacyForAWhile({ parts: { world } }: Stage): Promise<void> {
  await world.standIns.stop();
  await sleep(LEGACY_AWAY_MS);
  await world.standIns.start();
}

async function shutLegacyDown({ parts: { world } }: Stage): Promise<void> {
  await world.standIns.stop();
}

import { sessionIdOf, type Owner } from '../../src/domain/ids.ts';
import type { LegacyAccess } from '../../src/domain/service-definition.ts';
import { digestOfFields } from '../../src/engine/items/copy-plan.ts';
import { readContents } from '../../src/engine/items/lane-contents.ts';
import type { Orchestrator } from '../../src/engine/ports/ports.ts';
import { allWrites, numberOf, type LaneRow } from './lane-row.ts';
import { marksIn, type Effects } from './legacy/effects.ts';
import { answerRequest } from './orchestrator-wire.ts';
import { decodeAnswer, encodeRead } from '../../src/backends/orchestrator-wire.ts';
import { checkLosses, hasLost, wasClearedOutOfTurn, wasFullOnce } from './loss-check.ts';
import type { Violations } from './violations.ts';
import type { SimService, World } from './world.ts';

/** One item of a lane, on either side. */
interface Item {
  readonly digest: string;
  readonly numbers: readonly number[];
  readonly text: string;
}

/** What must hold when all trouble is over and nothing waits any more. */
export async function checkFinally(world: World, violations: Violations): Promise<void> {
  checkAcknowledged(world, violations);
  checkListed(world, violations);
  await checkLosses(world, violations);
  for (const service of world.services) {
    checkLegacyOrder(service, world, violations);
    checkSideEffects(service, violations);
    for (const owner of service.owners) {
      const lane = `${service.name}/${owner}`;
      const legacy = await legacyItems(service, owner as Owner);
      const orchestrator = await orchestratorItems(world, service, owner as Owner);
      const row = tablesRow(world, lane);
      // Behind a dead letter its lane waits; what waits is listed.
      if (row?.deadLetters.size !== 0 && row !== undefined) continue;
      if (row !== undefined && isForAPerson(row, world)) continue;
      const listed = (item: Item): boolean =>
        (row?.exceptions ?? 0) > 0 && item.numbers.some((number) => world.plant.isPoison(number));
      compareLane(
        {
          lane,
          legacy: legacy.filter((item) => !listed(item)),
          orchestrator,
          effects: service.model.effects,
        },
        violations,
      );
    }
  }
}

function tablesRow({ database }: World, lane: string) {
  return database.lanes().find(({ key }) => key === lane);
}

/** I1: every acknowledged write took effect on the primary, once. I4: none took effect twice. */
function checkAcknowledged({ history, services }: World, violations: Violations): void {
  const times = new Map<number, number>();
  for (const { model } of services)
    for (const { number } of model.effects.executions) times.set(number, (times.get(number) ?? 0) + 1);
  for (const call of history.calls) {
    const count = times.get(call.number) ?? 0;
    // The last time that it was meant may be without a reply.
    const acknowledged = call.status === 'acknowledged' ? call.meant : call.meant - 1;
    if (call.kind === 'write' && count < acknowledged)
      violations.add(
        'I1',
        `write ${call.number} of ${call.lane} was acknowledged ${acknowledged} times and executed ${count} times`,
      );
    if (count > call.meant + call.suspected.size)
      violations.add('I4', `write ${call.number} of ${call.lane} was executed ${count} times by legacy`);
  }
}

/** Its service lost items of it; or much vanished, and the journal does not know why: it was deleted while writes passed unjournaled. */
function isForAPerson(lane: LaneRow, world: World): boolean {
  const { key, condition, reason } = lane;
  if (condition === 'stopped' && reason === 'lost')
    return hasLost(world, key) || wasFullOnce(world, key) || wasClearedOutOfTurn(world, lane);
  if (condition !== 'stopped' || reason !== 'would_remove_too_much') return false;
  return world.history
    .writesOf(key)
    .some(({ deletes, isCovered, attempts }) => deletes === 'all' && attempts > 0 && !isCovered);
}

function isWell(lane: LaneRow, world: World): boolean {
  return lane.condition === 'clean' || isForAPerson(lane, world);
}

/** I2: after all trouble nothing is left dirty, stopped, dead or waiting. I6: and each lane has its one primary. */
function checkListed(world: World, violations: Violations): void {
  const { database, plant } = world;
  for (const lane of database.lanes()) {
    if (!isWell(lane, world))
      violations.add('I2', `${lane.key} is still ${lane.condition} (${lane.reason}) in the end`);
    for (const [sequence, { code }] of lane.deadLetters) {
      const write = lane.writes.get(sequence);
      if (write === undefined || !plant.isPoison(numberOf(write.request)))
        violations.add('I2', `write ${sequence} of ${lane.key} became a dead letter (${code})`);
    }
    if (lane.exceptions > 0 && plant.poisonEvery === 0)
      violations.add('I2', `${lane.key} has ${lane.exceptions} exceptions`);
    if (lane.primary !== 'legacy' || lane.epoch !== 0)
      violations.add(
        'I6',
        `${lane.key} has changed its primary (epoch ${lane.epoch}), which nobody asked for`,
      );
  }
}

/** I3 on legacy: writes with a definite outcome were executed in the order of their sequence. */
function checkLegacyOrder({ model, name }: SimService, { database }: World, violations: Violations): void {
  const executedAt = new Map(model.effects.executions.map(({ number }, index) => [number, index]));
  for (const lane of database.lanes()) {
    if (lane.service !== name) continue;
    let last = -1;
    for (const { write, outcome } of allWrites(lane)) {
      const { sequence } = write;
      const number = numberOf(write.request);
      const place = model.effects.times(number) === 1 ? executedAt.get(number) : undefined;
      if (outcome !== 'applied' || place === undefined) continue;
      if (place < last) violations.add('I3', `write ${sequence} of ${lane.key} overtook another on legacy`);
      last = place;
    }
  }
}

/** I8: legacy raised what it stored, as often as it stored it. */
function checkSideEffects({ model, name }: SimService, violations: Violations): void {
  const { executions, raised } = model.effects;
  if (raised > executions.length)
    violations.add('I8', `${name} raised ${raised} side effects for ${executions.length} writes`);
}

async function legacyItems({ model }: SimService, owner: Owner): Promise<Item[]> {
  const { definition, jsonFile, sqlite } = model;
  const access: LegacyAccess = {
    ...(jsonFile && { jsonFile: async () => jsonFile() }),
    ...(sqlite && { sqlite: async (sql: string, parameters: readonly string[]) => sqlite(sql, parameters) }),
  };
  const { items } = await definition.lanes.readLegacy(owner, access, { timeZone: 'UTC' });
  return items.map(({ fields }) => itemOf(fields));
}

async function orchestratorItems({ store }: World, { model }: SimService, owner: Owner): Promise<Item[]> {
  const { lanes } = model.definition;
  const envelope = { requestId: 'judge', timestamp: '', key: undefined };
  const orchestrator: Pick<Orchestrator, 'read'> = {
    read: async (call) => decodeAnswer(answerRequest(store, encodeRead(call, envelope))),
  };
  const contents = await readContents({
    orchestrator: orchestrator as Orchestrator,
    sessionId: sessionIdOf(lanes.sessionPrefix, owner),
    lanes,
    options: () => ({ purpose: 'probe', deadlineAtMs: Infinity }),
  });
  return contents.listed.map(({ fields }) => itemOf(fields));
}

export function itemOf(fields: Readonly<Record<string, string>>): Item {
  const text = JSON.stringify(fields);
  return { digest: digestOfFields(fields), numbers: marksIn(text), text };
}

interface Lane {
  readonly lane: string;
  readonly legacy: readonly Item[];
  readonly orchestrator: readonly Item[];
  readonly effects: Effects;
}

/** Equal contents in the same order, except for what the service forgot by itself or lost. */
export function compareLane({ lane, legacy, orchestrator, effects }: Lane, violations: Violations): void {
  const missing = without(legacy, orchestrator);
  const extra = without(orchestrator, legacy);
  for (const item of missing) violations.add('I2', `${lane}: the orchestrator lacks ${item.text}`);
  for (const item of extra) judgeExtra(item, { lane, effects, violations });
  if (missing.length > 0) return;
  const gone = new Set<Item>(extra);
  // A service forgets the oldest of equal items. After a loss an equal item may be written again, so any of them may be the one that is left.
  const hasLostItems = effects.lostFrom.has(lane.slice(lane.indexOf('/') + 1));
  const compared = hasLostItems ? orchestrator : orchestrator.filter((item) => !gone.has(item));
  if (!isWithin(legacy, compared))
    violations.add(
      'I3',
      `${lane}: the items stand in another order on the orchestrator: ${orderOf(orchestrator)} instead of ${orderOf(legacy)}`,
    );
}

/** Whether the second list shows the items of the first in their order, with or without others between them. */
function isWithin(items: readonly Item[], others: readonly Item[]): boolean {
  let found = 0;
  for (const { digest } of others) if (digest === items[found]?.digest) found += 1;
  return found === items.length;
}

function orderOf(items: readonly Item[]): string {
  return items.map(({ numbers }) => numbers.join('+') || '-').join(' ');
}

function judgeExtra(
  item: Item,
  { lane, effects, violations }: Pick<Lane, 'lane' | 'effects'> & { readonly violations: Violations },
): void {
  const { forgotten, lost, lostFrom, deletedAtMs } = effects;
  const isExplained = (number: number): boolean => forgotten.has(number) || lost.has(number);
  if (item.numbers.length > 0 ? item.numbers.every(isExplained) : lostFrom.size > 0) return;
  const isDeleted = item.numbers.some((number) => deletedAtMs.has(number));
  violations.add(
    isDeleted ? 'I5' : 'I4',
    `${lane}: the orchestrator still shows ${item.text}${isDeleted ? ', which was deleted' : ', which legacy has not'}`,
  );
}

/** The first list without what the second has, each item once. Of equal items the oldest are taken to be gone. */
function without(items: readonly Item[], others: readonly Item[]): Item[] {
  const left = new Map<string, number>();
  for (const { digest } of others) left.set(digest, (left.get(digest) ?? 0) + 1);
  return items.toReversed().filter(({ digest }) => {
    const count = left.get(digest) ?? 0;
    left.set(digest, count - 1);
    return count <= 0;
  });
}

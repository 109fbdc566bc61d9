import { randomBytes, randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { type LaneKey, operationId, replicaId, type ReplicaId } from '../../../src/domain/ids.ts';
import type { WriteRef } from '../../../src/engine/ports/ports.ts';
import type { HaltReason } from '../../../src/engine/ports/reverse-ports.ts';
import { createAuditStore } from '../../../src/storage/audit.ts';
import { createReplicationLag } from '../../../src/storage/replication-lag.ts';
import { createReverseLedger } from '../../../src/storage/reverse-ledger.ts';
import { createReverseSends } from '../../../src/storage/reverse-sends.ts';
import { createSeal } from '../../../src/storage/seal.ts';
import { onEachJournal } from './each-journal.ts';
import { beginJournal } from './journal-under-test.ts';

const ANN = { person: 'ann', reason: 'looked at legacy' };
const SEAL = createSeal(randomBytes(32));
const TAIL = '{"items":3}';

onEachJournal((database) => {
  /** Writes of lanes whose primary is the orchestrator leave the journal only if a backup of the orchestrator has them. */
  const backedUp = (): Promise<unknown> =>
    database().query(
      "insert into orchestrator_backups (until, person, reason) values (now(), 'ann', 'test')",
    );

  /** A flipped lane with three applied writes. Legacy has none of them. */
  async function begin() {
    const at = beginJournal(database(), SEAL);
    const refs: WriteRef[] = [];
    for (let made = 0; made < 3; made += 1) refs.push(await at.write('ann', 'applied'));
    const [first] = refs as [WriteRef];
    const [row] = await database().query<{ home: string }>(
      `update lanes set primary_backend = 'orchestrator', epoch = 1, obeyed_sequence = sequence where id = $1 returning claim_replica as home`,
      [first.laneId],
    );
    const replica = { id: replicaId(row?.home ?? '') as ReplicaId };
    const sends = createReverseSends({ database: database(), replica, seal: SEAL });
    const ledger = createReverseLedger(database());
    const operation = operationId(randomUUID());
    const start = (attempt: number) =>
      sends.begin({ ref: first, operationId: operation, action: 'add', epoch: 1, attempt, tail: TAIL });
    const halt = async (reason: HaltReason): Promise<void> => {
      await start(1);
      await sends.halt(first, 1, reason);
    };
    const listed = async () => (await ledger.list({ service: at.service, limit: 10 }))[0];
    return { ...at, first, sends, ledger, operation, start, halt, listed };
  }

  test('a halted send is listed with the number of waiting writes, and without content', async () => {
    const { halt, listed, ledger, service, operation, first } = await begin();
    await halt('undecided');
    expect(await listed()).toMatchObject({
      operationId: operation,
      service,
      lane: first.lane,
      sequence: 1,
      because: 'undecided',
      attempts: 1,
      standing: 'open',
      waiting: 2,
    });
    expect(await ledger.list({ service, standing: 'ended', limit: 10 })).toEqual([]);
    expect(await ledger.list({ service, standing: 'open', limit: 10 })).toHaveLength(1);
  });

  test('the tail of a send is sealed', async () => {
    const { start, first, sends } = await begin();
    await start(1);
    const [row] = await database().query<{ tail: string }>(
      'select tail from reverse_sends where lane_id = $1',
      [first.laneId],
    );
    expect(row?.tail).toMatch(/^sealed:/);
    expect(await sends.find(first)).toMatchObject({ tail: TAIL });
  });

  test('a send is decided once, with an audit entry', async () => {
    const { halt, ledger, operation, service, listed, sends, first } = await begin();
    await halt('refused');
    const both = await Promise.all([
      ledger.decide(operation, 'skip', ANN),
      ledger.decide(operation, 'assume_applied', ANN),
    ]);
    expect(both.map(({ result }) => result).toSorted()).toEqual(['decided', 'ended']);
    const ending = (await sends.find(first))?.ending;
    expect(['skipped', 'assumed_applied']).toContain(ending);
    expect(await listed()).toMatchObject({ standing: ending, decidedBy: ANN, waiting: 0 });
    const audit = await createAuditStore(database()).recent({ limit: 10, service });
    expect(audit.map(({ command }) => command)).toEqual([
      ending === 'skipped' ? 'reverse skip' : 'reverse assume-applied',
    ]);
    expect(await ledger.decide(operationId(randomUUID()), 'skip', ANN)).toEqual({
      result: 'unknown_operation',
    });
  });

  test('a retried send begins again, and may be halted and decided again', async () => {
    const { halt, ledger, operation, start, sends, first, listed } = await begin();
    await halt('effect_too_late');
    expect(await start(2)).toBe(false);
    expect(await ledger.decide(operation, 'retry', ANN)).toMatchObject({ result: 'decided' });
    expect(await sends.find(first)).toMatchObject({ attempt: 1, isRetried: true });
    expect(await listed()).toMatchObject({ standing: 'retried' });
    expect(await start(2)).toBe(true);
    expect(await sends.find(first)).toMatchObject({ attempt: 2, isRetried: false });
    await sends.halt(first, 2, 'refused');
    expect(await sends.find(first)).toMatchObject({ halted: 'refused' });
    expect(await listed()).toMatchObject({ standing: 'open', because: 'refused', attempts: 2 });
    expect(await ledger.decide(operation, 'retry', ANN)).toMatchObject({ result: 'decided' });
  });

  test('the standing of a service has what waits, is halted, skipped or lost', async () => {
    const { ledger, service, halt, operation, sends, first, journal } = await begin();
    expect(await ledger.standing(service)).toMatchObject({
      lanes: 1,
      waitingLanes: 1,
      waitingWrites: 3,
      haltedLanes: 0,
      lostWaysBack: 0,
      skippedWrites: 0,
    });
    expect((await ledger.standing(service)).oldestSeconds).toBeGreaterThan(0);
    await halt('refused');
    expect(await ledger.standing(service)).toMatchObject({ haltedLanes: 1 });
    await ledger.decide(operation, 'skip', ANN);
    await journal.delivered({ ...first, sequence: 3 });
    await journal.drain();
    expect(await ledger.standing(service)).toMatchObject({
      haltedLanes: 0,
      skippedWrites: 1,
      waitingWrites: 0,
      oldestSeconds: null,
    });
    await sends.loseWayBack(first.lane as LaneKey);
    expect(await ledger.standing(service)).toMatchObject({ lostWaysBack: 1 });
  });

  test('a write after the last one that read-only legacy gets does not wait', async () => {
    const { ledger, service, first } = await begin();
    await database().query(
      "insert into service_writes (service, state, person, reason) values ($1, 'read_only', 'ann', 'test')",
      [service],
    );
    const bornLater = { waitingLanes: 0, waitingWrites: 0, oldestSeconds: null };
    expect(await ledger.standing(service)).toMatchObject({ lanes: 1, ...bornLater });
    await database().query('insert into read_only_lanes (lane_id, service, sequence) values ($1, $2, 2)', [
      first.laneId,
      service,
    ]);
    expect(await ledger.standing(service)).toMatchObject({ waitingLanes: 1, waitingWrites: 2 });
    await database().query('update lanes set delivered_sequence = 2 where id = $1', [first.laneId]);
    expect(await ledger.standing(service)).toMatchObject(bornLater);
  });

  test('a lane that waits for legacy is no lag of the orchestrator', async () => {
    const { service } = await begin();
    expect(await createReplicationLag(database())(service)).toEqual({
      writes: 0,
      lanes: 0,
      oldestSeconds: null,
    });
  });

  test('the newest send of a lane stays, and older ones leave with their writes', async () => {
    const { journal, sends, first } = await begin();
    for (const sequence of [1, 2]) {
      const ref = { ...first, sequence };
      const operation = operationId(randomUUID());
      await sends.begin({ ref, operationId: operation, action: 'add', epoch: 1, attempt: 1 });
      await sends.end({ ref, attempt: 1, ending: 'applied' });
    }
    await journal.delivered({ ...first, sequence: 2 });
    await journal.drain();
    await backedUp();
    await journal.prune(1);
    expect(await sends.find({ ...first, sequence: 1 })).toBeUndefined();
    expect(await sends.find({ ...first, sequence: 2 })).toMatchObject({ ending: 'applied' });
  });

  test('a lane whose way back is lost keeps no old writes for legacy', async () => {
    const { journal, sends, first } = await begin();
    await sends.loseWayBack(first.lane as LaneKey);
    await backedUp();
    await journal.prune(1);
    const left = await database().query<{ sequence: number }>(
      'select sequence from writes where lane_id = $1',
      [first.laneId],
    );
    expect(left.map(({ sequence }) => sequence)).toEqual([3]);
  });
});

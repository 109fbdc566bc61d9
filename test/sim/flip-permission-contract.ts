import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { laneKeyOf, type Owner } from '../../src/domain/ids.ts';
import {
  BUCKET,
  BY,
  decided,
  decidedFirst,
  delivered,
  flipped,
  type Open,
  permitted,
  reports,
  type Subject,
  VERSION,
} from './flip-steps.ts';

/** What a flip needs besides a clean lane. */
export function describeFlipPermission(begin: () => Promise<Subject>, open: Open): void {
  describe('the permission of a flip', () => {
    test('is the share that contains the lane', async () => {
      const subject = await begin();
      const { flips, lane } = subject;
      await delivered(subject);
      const decision = await decided(subject, 'orchestrator');
      const { permission } = decision;
      if (permission === undefined) throw new Error('the flip has no permission');
      for (const wrong of [{ share: permission.share + 1 }, { bucket: BUCKET + 1 }, { version: '1-other' }])
        expect(
          await flips.flip(lane.key, { ...decision, permission: { ...permission, ...wrong } }),
        ).toBeUndefined();
      expect(await flips.flip(lane.key, { ...decision, permission })).toMatchObject({ epoch: 1 });
    });

    test('is given when every registered replica acts on the share', async () => {
      const subject = await begin();
      const { shares, flips, lane } = subject;
      await delivered(subject);
      const other = open({ [lane.service]: VERSION });
      await other.replicas.register(other.identity.id);
      const decision = await decided(subject, 'orchestrator');
      expect(await flips.flip(lane.key, decision)).toBeUndefined();
      await reports(other, lane, decision.permission?.share);
      expect(await flips.flip(lane.key, decision)).toMatchObject({ epoch: 1 });
      expect((await shares.shares()).get(lane.service)).toMatchObject({ percentage: BUCKET });
    });

    test('is not given beside a replica that answers writes in another way', async () => {
      const subject = await begin();
      const { flips, lane } = subject;
      await delivered(subject);
      for (const versions of [{}, { [lane.service]: '1-other' }]) {
        const other = open(versions);
        await other.replicas.register(other.identity.id);
        const decision = await decided(subject, 'orchestrator');
        await reports(other, lane, decision.permission?.share);
        expect(await flips.flip(lane.key, decision)).toBeUndefined();
        await other.replicas.leave(other.identity.id);
      }
      expect(await flipped(subject)).toMatchObject({ epoch: 1 });
    });

    test('is not given while a spill of a replica that is gone may be open', async () => {
      const subject = await begin();
      const { flips, lane } = subject;
      await delivered(subject);
      const decision = await decided(subject, 'orchestrator');
      const { replicas, identity } = open({});
      const spill = randomUUID();
      await replicas.register(identity.id, spill);
      await replicas.leave(identity.id);
      expect(await flips.flip(lane.key, decision)).toBeUndefined();
      // It came back, and has nothing to replay.
      await replicas.register(identity.id, spill);
      await replicas.heartbeat(identity.id, { coverage: {}, shares: {}, isSpilling: false });
      await replicas.leave(identity.id);
      expect(await flips.flip(lane.key, decision)).toMatchObject({ epoch: 1 });
    });

    test('is not given while a person holds further flips', async () => {
      const subject = await begin();
      const { shares, lane } = subject;
      await delivered(subject);
      await shares.hold(lane.service, BY);
      await shares.hold(lane.service, { ...BY, person: 'bob' });
      expect((await shares.held()).get(lane.service)).toMatchObject(BY);
      expect(await flipped(subject)).toBeUndefined();
      expect(await shares.lift(lane.service, BY)).toBe(true);
      expect(await shares.lift(lane.service, BY)).toBe(false);
      expect(await flipped(subject)).toMatchObject({ epoch: 1 });
    });

    test('names one lane that goes first, and only as long as no lane is flipped', async () => {
      const subject = await begin();
      const { shares, lane, flips } = subject;
      await delivered(subject);
      const other = laneKeyOf(lane.service, 'bob' as Owner);
      expect(await shares.firstLane(lane.service)).toBeUndefined();
      expect(await shares.nameFirst(other, BY)).toBe(true);
      expect(await shares.firstLane(lane.service)).toMatchObject({ ...BY, lane: other });
      const decision = await decidedFirst(subject);
      expect(await flips.flip(lane.key, decision)).toBeUndefined();
      expect(await shares.nameFirst(lane.key, BY)).toBe(true);
      expect(await shares.firstLane(lane.service)).toMatchObject({ lane: lane.key });
      expect(await flips.flip(lane.key, decision)).toMatchObject({ epoch: 1 });
      expect(await shares.nameFirst(other, BY)).toBe(false);
    });

    test('a share shrinks only if no flipped lane is outside the smaller one', async () => {
      const subject = await begin();
      const { shares, lane } = subject;
      await delivered(subject);
      await flipped(subject);
      const { number = 0 } = (await shares.shares()).get(lane.service) ?? {};
      await shares.resize(lane.service, BUCKET - 1, VERSION);
      expect((await shares.shares()).get(lane.service)).toMatchObject({ number, percentage: BUCKET });
      await shares.resize(lane.service, 100, VERSION);
      await shares.resize(lane.service, BUCKET, VERSION);
      expect((await shares.shares()).get(lane.service)).toMatchObject({ number: number + 2 });
      await flipped(subject, 'legacy');
      await shares.resize(lane.service, 0, VERSION);
      expect((await shares.shares()).get(lane.service)).toMatchObject({ percentage: 0 });
    });

    test('a version is agreed on when every registered replica has it', async () => {
      const subject = await begin();
      const { shares, lane } = subject;
      await permitted(subject);
      const [newer, older] = ['1-newer', VERSION].map((version) => open({ [lane.service]: version }));
      for (const one of [newer, older]) await one?.replicas.register(one.identity.id);
      await shares.agree(lane.service, '1-newer');
      expect((await shares.shares()).get(lane.service)).toMatchObject({ version: VERSION, number: 1 });
      if (older !== undefined) await older.replicas.leave(older.identity.id);
      await shares.agree(lane.service, '1-newer');
      expect((await shares.shares()).get(lane.service)).toMatchObject({ version: '1-newer', number: 2 });
      if (newer !== undefined) await newer.replicas.leave(newer.identity.id);
    });
  });
}

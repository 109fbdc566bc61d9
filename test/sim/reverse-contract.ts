import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { operationId } from '../../src/domain/ids.ts';
import type { WriteRef } from '../../src/engine/ports/ports.ts';
import type { ReverseStart } from '../../src/engine/ports/reverse-ports.ts';
import { decided } from './flip-steps.ts';
import type { Begin, JournalUnderTest, Lane, Opened } from './journal-contract-lane.ts';

const HOUR_MS = 3_600_000;
const TAIL = '{"items":3}';

/** What reverse delivery relies on: the same for the tables in memory and for the SQL they stand for. */
export function describeReverse(subject: () => JournalUnderTest, begin: Begin): void {
  describe('a reverse send', () => testSends(subject, begin));
  describe('the proof of the way back', () => testProofs(begin));
}

function startOf(ref: WriteRef, more: Partial<ReverseStart> = {}): ReverseStart {
  const operation = operationId(randomUUID());
  return { ref, operationId: operation, action: 'add', epoch: 1, attempt: 1, tail: TAIL, ...more };
}

function testSends(subject: () => JournalUnderTest, begin: Begin): void {
  /** A lane whose primary is the orchestrator, with so many applied writes that legacy lacks. */
  const flipped = async (
    writes: number,
  ): Promise<Opened & { readonly lane: Lane; readonly refs: readonly WriteRef[] }> => {
    const opened = begin();
    const refs: WriteRef[] = [];
    for (let made = 0; made < writes; made += 1) refs.push(await opened.lane.write('applied'));
    await subject().flip(opened.lane.key);
    return { ...opened, refs };
  };

  test('is found with its tail until it ends', async () => {
    const { sends, refs } = await flipped(1);
    const [ref] = refs as [WriteRef];
    expect(await sends.find(ref)).toBeUndefined();
    expect(await sends.begin(startOf(ref))).toBe(true);
    const found = await sends.find(ref);
    expect(found).toMatchObject({ attempt: 1, tail: TAIL, isRetried: false });
    expect(found?.ageMs).toBeGreaterThanOrEqual(0);
    expect(found?.ageMs).toBeLessThan(HOUR_MS);
    await sends.end({ ref, attempt: 1, ending: 'applied' });
    expect(await sends.find(ref)).toMatchObject({ attempt: 1, ending: 'applied' });
    expect(await sends.find(ref)).not.toHaveProperty('tail');
  });

  test('is stored although it may wait for others, and so is its end', async () => {
    const { sends, refs } = await flipped(1);
    const [ref] = refs as [WriteRef];
    expect(await sends.begin(startOf(ref, { mayWait: true }))).toBe(true);
    expect(await sends.find(ref)).toMatchObject({ attempt: 1 });
    await sends.end({ ref, attempt: 1, ending: 'applied', mayWait: true });
    expect(await sends.find(ref)).toMatchObject({ ending: 'applied' });
  });

  test('begins once, whichever replica repeats its start', async () => {
    const { sends, refs } = await flipped(1);
    const [ref] = refs as [WriteRef];
    const begun = await Promise.all([1, 1, 1].map(() => sends.begin(startOf(ref))));
    expect(begun.filter(Boolean)).toHaveLength(1);
    expect(await sends.begin(startOf(ref, { attempt: 3 }))).toBe(false);
    expect(await sends.begin(startOf(ref, { attempt: 2, tail: undefined }))).toBe(true);
    expect(await sends.find(ref)).toMatchObject({ attempt: 2 });
    expect(await sends.find(ref)).not.toHaveProperty('tail');
  });

  test('does not begin again after its end, and ends once', async () => {
    const { sends, refs } = await flipped(1);
    const [ref] = refs as [WriteRef];
    await sends.begin(startOf(ref));
    await sends.end({ ref, attempt: 1, ending: 'forgotten' });
    await sends.end({ ref, attempt: 1, ending: 'applied' });
    expect(await sends.find(ref)).toMatchObject({ ending: 'forgotten' });
    expect(await sends.begin(startOf(ref, { attempt: 2 }))).toBe(false);
  });

  test('is not ended by a sender whose attempt is over', async () => {
    const { sends, refs } = await flipped(1);
    const [ref] = refs as [WriteRef];
    await sends.begin(startOf(ref));
    await sends.begin(startOf(ref, { attempt: 2 }));
    await sends.end({ ref, attempt: 1, ending: 'applied' });
    await sends.halt(ref, 1, 'undecided');
    expect(await sends.find(ref)).not.toHaveProperty('ending');
    expect(await sends.find(ref)).not.toHaveProperty('halted');
  });

  test('is the only open one of its lane', async () => {
    const { sends, refs } = await flipped(2);
    const [first, second] = refs as [WriteRef, WriteRef];
    await sends.begin(startOf(first));
    expect(await sends.begin(startOf(second))).toBe(false);
    await sends.halt(first, 1, 'refused');
    expect(await sends.begin(startOf(second))).toBe(false);
    const other = await flipped(1);
    const [elsewhere] = other.refs as [WriteRef];
    expect(await other.sends.begin(startOf(elsewhere))).toBe(true);
  });

  test('that is halted does not begin again by itself', async () => {
    const { sends, refs } = await flipped(1);
    const [ref] = refs as [WriteRef];
    await sends.begin(startOf(ref));
    await sends.halt(ref, 1, 'undecided');
    expect(await sends.find(ref)).toMatchObject({ attempt: 1, halted: 'undecided', tail: TAIL });
    expect(await sends.begin(startOf(ref, { attempt: 2 }))).toBe(false);
  });

  test('needs the lane’s home, its epoch, and the orchestrator as primary', async () => {
    const { sends, refs, lane } = await flipped(1);
    const [ref] = refs as [WriteRef];
    expect(await sends.begin(startOf(ref, { epoch: 0 }))).toBe(false);
    expect(await subject().open().sends.begin(startOf(ref))).toBe(false);
    const unflipped = begin();
    const forward = await unflipped.lane.write('applied');
    expect(await unflipped.sends.begin(startOf(forward, { epoch: 0 }))).toBe(false);
    await subject().flip(lane.key);
    expect(await sends.begin(startOf(ref))).toBe(false);
    expect(await sends.begin(startOf(ref, { epoch: 2 }))).toBe(true);
  });

  test('does not begin in a lane whose way back is lost', async () => {
    const { sends, refs, lane } = await flipped(1);
    const [ref] = refs as [WriteRef];
    expect(await sends.last(lane.key)).toMatchObject({ isLost: false });
    await sends.loseWayBack(lane.key);
    await sends.loseWayBack(lane.key);
    expect(await sends.last(lane.key)).toMatchObject({ isLost: true });
    expect(await sends.begin(startOf(ref))).toBe(false);
  });

  test('tells whether legacy lacks a write for good, under the present epoch', async () => {
    const { sends, refs, lane } = await flipped(2);
    const [first, second] = refs as [WriteRef, WriteRef];
    await sends.begin(startOf(first));
    await sends.end({ ref: first, attempt: 1, ending: 'applied' });
    expect(await sends.last(lane.key)).toMatchObject({ lacksWrite: false });
    await sends.begin(startOf(second));
    await sends.end({ ref: second, attempt: 1, ending: 'skipped' });
    expect(await sends.last(lane.key)).toMatchObject({ lacksWrite: true });
    await subject().flip(lane.key);
    expect(await sends.last(lane.key)).toMatchObject({ lacksWrite: false });
  });

  test('tells when legacy last had the owner, and whether it has forgotten it', async () => {
    const { sends, refs, lane } = await flipped(3);
    const endings = ['applied', 'forgotten', 'skipped'] as const;
    expect(await sends.last(lane.key)).toMatchObject({ isForgotten: false });
    expect(await sends.last(lane.key)).not.toHaveProperty('atMs');
    for (const [index, ref] of refs.entries()) {
      await sends.begin(startOf(ref));
      await sends.end({ ref, attempt: 1, ending: endings[index] ?? 'applied' });
    }
    const { nowMs, atMs = 0, isForgotten } = await sends.last(lane.key);
    expect(isForgotten).toBe(true);
    expect(Math.abs(nowMs - Date.now())).toBeLessThan(HOUR_MS);
    expect(atMs).toBeLessThanOrEqual(nowMs);
    expect(atMs).toBeGreaterThan(nowMs - HOUR_MS);
  });

  test('tells the last write that legacy forgot with its owner, until a copy looked', async () => {
    const opened = await flipped(4);
    const { journal, sends, flips, refs, lane } = opened;
    const through = async (before?: number): Promise<unknown> =>
      (await journal.lastApplied(lane.key, before)).forgottenThrough;
    const endings = ['applied', 'forgotten', 'forgotten', 'applied'] as const;
    expect(await through()).toBeUndefined();
    for (const [index, ref] of refs.entries()) {
      await sends.begin(startOf(ref));
      await sends.end({ ref, attempt: 1, ending: endings[index] ?? 'applied' });
      await journal.delivered(ref);
    }
    expect(await through()).toBe(3);
    expect(await through(3)).toBe(2);
    expect(await flips.flip(lane.key, await decided(opened, 'legacy'))).toMatchObject({ primary: 'legacy' });
    const { generation = 0 } = (await journal.beginCopy(lane.key)) ?? {};
    expect(await through()).toBe(3);
    await lane.copied(generation, 4);
    expect(await through()).toBeUndefined();
  });
}

function testProofs(begin: Begin): void {
  test('is the newest write that was read back on legacy, with its kind of writer', async () => {
    const { proofs, lane } = begin();
    expect(await proofs.provenAt(lane.service)).toBeUndefined();
    await proofs.proved(lane.service, 'canary');
    expect(await proofs.provenAt(lane.service)).toMatchObject({ by: 'canary' });
    await new Promise((resolve) => setTimeout(resolve, 5));
    await proofs.proved(lane.service, 'agent');
    const proof = await proofs.provenAt(lane.service);
    expect(proof?.by).toBe('agent');
    expect(Math.abs((proof?.atMs ?? 0) - Date.now())).toBeLessThan(HOUR_MS);
  });

  test('is made by one replica at a time', async () => {
    const { proofs, lane } = begin();
    const claims = await Promise.all([1, 2, 3].map(() => proofs.claimCanary(lane.service)));
    expect(claims.filter(Boolean)).toHaveLength(1);
    expect(await proofs.claimCanary(lane.service)).toBe(false);
  });

  test('is renewed by each write, and belongs to one service', async () => {
    const [one, other] = [begin(), begin()];
    await one.proofs.proved(one.lane.service, 'agent');
    const first = await one.proofs.provenAt(one.lane.service);
    await new Promise((resolve) => setTimeout(resolve, 5));
    await one.proofs.proved(one.lane.service, 'agent');
    expect((await one.proofs.provenAt(one.lane.service))?.atMs).toBeGreaterThan(first?.atMs ?? Infinity);
    expect(await other.proofs.provenAt(other.lane.service)).toBeUndefined();
  });
}

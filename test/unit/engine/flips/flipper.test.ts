import { describe, expect, test, vi } from 'vitest';
import { Flipper, type FlipperParts } from '../../../../src/engine/flips/flipper.ts';
import type { ServiceFlipFacts } from '../../../../src/engine/flips/eligibility.ts';
import type { FlipCandidate } from '../../../../src/engine/ports/flip-ports.ts';
import { laneKeyOf, type ServiceName } from '../../../../src/domain/ids.ts';
import { laneNamed, ownerNamed, recorder, SERVICE } from '../engine-parts.ts';

type Verdict = 'equal' | 'different' | 'not_comparable';

const READY: ServiceFlipFacts = {
  notReported: 0,
  otherVersions: 0,
  isAnySpilled: false,
  held: undefined,
  isAnyFlipped: false,
  flippedDiffer: 0,
  movedLately: 3,
  notFlippable: 0,
  isCovered: true,
  share: { number: 1, percentage: 100, version: '1-own' },
  permittedPercentage: 100,
  provenAgoSeconds: 1,
  isKilled: false,
  latch: null,
  isRampHeld: false,
  areFlipsHeld: false,
  provenPercentage: 100,
  first: undefined,
};

function candidate(name: string, facts: Partial<FlipCandidate> = {}): FlipCandidate {
  const owner = ownerNamed(name);
  return { id: name.length, lane: laneKeyOf(SERVICE, owner), owner, verifiedAgoSeconds: 1, ...facts };
}

/** A flipper over these lanes. Its clock runs a thousand times as fast. */
function createFlipper(lanes: readonly FlipCandidate[], facts: Partial<FlipperParts> = {}) {
  const seen = { flipped: [] as string[], failed: [] as string[], verified: [] as string[], paced: 0 };
  const service = { facts: READY };
  const { emit, names } = recorder();
  const book: FlipperParts['book'] = {
    standing: async () => READY,
    flipped: async () => 3,
    candidates: async (_service, { after, limit, isEveryHome }) =>
      isEveryHome === true
        ? lanes.filter(({ id }) => id > after).slice(0, limit)
        : after > 0
          ? []
          : lanes.filter(({ lane }) => !seen.flipped.includes(lane)),
    candidate: async () => undefined,
    among: async (keys) => lanes.filter(({ lane }) => keys.includes(lane)),
    history: async () => [],
    verified: async (keys) => void seen.verified.push(...keys),
    failed: async (lane, reason, pause) => void seen.failed.push(`${lane} ${reason} ${pause}`),
    uncompared: async () => [],
    compared: async () => undefined,
  };
  const flipper = new Flipper({
    book,
    services: [SERVICE],
    isMoving: () => true,
    factsOf: async () => service.facts,
    isSelected: () => true,
    areReadsMoved: () => true,
    digestOf: () => 'digest',
    limits: { verifiedSeconds: 100, provenSeconds: 100 },
    flipLane: async (lane) => {
      seen.flipped.push(lane.key);
      return undefined;
    },
    lanes: { load: async (_service, owner) => laneNamed(owner) },
    compare: undefined,
    pace: () => ({
      after: async () => {
        seen.paced += 1;
      },
    }),
    clock: {
      now: () => performance.now() * 1_000,
      wallMs: () => 0,
      sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms / 1_000)),
    },
    emit,
    ...facts,
  });
  return { flipper, seen, service, names, book };
}

const ANN = laneKeyOf(SERVICE, ownerNamed('ann'));

test('eligible lanes are flipped, each with the pace of the flips', async () => {
  const { flipper, seen } = createFlipper([
    candidate('ann'),
    candidate('dirty', { unclean: 'dirty' }),
    candidate('paused', { attempts: { failed: 2, reason: 'busy', dueInSeconds: 5 } }),
    candidate('tried', { attempts: { failed: 2, reason: 'busy', dueInSeconds: 0 } }),
  ]);
  flipper.start();
  await vi.waitFor(() => expect(seen.flipped).toHaveLength(2));
  await flipper.stop();
  expect(seen.flipped).toEqual([ANN, laneKeyOf(SERVICE, ownerNamed('tried'))]);
  expect(seen.paced).toBe(2);
});

test('nothing is flipped before the way back is proven', async () => {
  const { flipper, seen, service } = createFlipper([candidate('ann')]);
  service.facts = { ...READY, provenAgoSeconds: undefined };
  flipper.start();
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(seen.flipped).toEqual([]);
  expect(await flipper.explain(ANN)).toContainEqual({ fact: 'way_back_proven', reason: 'never_proven' });
  service.facts = READY;
  await vi.waitFor(() => expect(seen.flipped).toEqual([ANN]));
  await flipper.stop();
});

describe('the lane that a person named to go first', () => {
  const FIRST = { lane: ANN, person: 'ann', reason: 'the service is full', atMs: 0 };
  const unproven = { ...READY, provenAgoSeconds: undefined, first: FIRST };

  test('is flipped alone, before the way back is proven', async () => {
    const grounds: unknown[] = [];
    const { flipper, service, book } = createFlipper([candidate('ann'), candidate('bob')], {
      flipLane: async (lane, ground) => {
        grounds.push([lane.key, ground]);
        service.facts = { ...service.facts, isAnyFlipped: true };
        return undefined;
      },
    });
    Object.assign(book, { candidate: async () => candidate('ann') });
    service.facts = unproven;
    flipper.start();
    await vi.waitFor(() => expect(grounds).toHaveLength(1));
    await new Promise((resolve) => setTimeout(resolve, 30));
    await flipper.stop();
    expect(grounds).toMatchObject([[ANN, { isFirst: true, facts: { first_by: 'ann' } }]]);
    expect(grounds).toHaveLength(1);
  });

  test.each([
    ['the guard has tripped', { latch: 'errors' }, {}],
    ['a lane is flipped already', { isAnyFlipped: true }, {}],
    ['another replica is its home', {}, { isElsewhere: true as const }],
    ['its history is uncertain', {}, { unclean: 'dirty' as const }],
  ])('stays on legacy while %s', async (_why, facts, lane) => {
    const { flipper, seen, service, book } = createFlipper([]);
    Object.assign(book, { candidate: async () => candidate('ann', lane) });
    service.facts = { ...unproven, ...facts };
    flipper.start();
    await new Promise((resolve) => setTimeout(resolve, 30));
    await flipper.stop();
    expect(seen.flipped).toEqual([]);
  });

  test('is refused with every reason but the missing proof and comparison', async () => {
    const { flipper, service, book } = createFlipper([]);
    const { verifiedAgoSeconds: _never, ...unverified } = candidate('ann');
    Object.assign(book, { candidate: async () => unverified });
    service.facts = { ...unproven, share: undefined, permittedPercentage: 0, otherVersions: 2 };
    expect(await flipper.obstaclesOfFirst(ANN)).toEqual([]);
    service.facts = { ...service.facts, provenPercentage: 0 };
    await vi.waitFor(async () =>
      expect((await flipper.obstaclesOfFirst(ANN))?.map(({ reason }) => reason)).toEqual([
        'not_permitted',
        'outside_share',
      ]),
    );
    Object.assign(book, { candidate: async () => undefined });
    expect(await flipper.obstaclesOfFirst(ANN)).toBeUndefined();
  });
});

test('a flip that failed is tried again after growing pauses', async () => {
  const { flipper, seen, names } = createFlipper(
    [candidate('ann', { attempts: { failed: 3, reason: 'busy', dueInSeconds: 0 } })],
    { flipLane: async () => 'not_drained' },
  );
  flipper.start();
  await vi.waitFor(() => expect(seen.failed.length).toBeGreaterThan(0));
  await flipper.stop();
  expect(seen.failed[0]).toBe(`${ANN} not_drained 80`);
  expect(names()).toContain('flip:failed');
});

test('a lane that lacks only a comparison is compared, and not flipped if it differs', async () => {
  const { verifiedAgoSeconds: _never, ...unverified } = candidate('ann');
  const result: { verdict: Verdict } = { verdict: 'different' };
  const { flipper, seen } = createFlipper([unverified], { compare: async () => ({ ...result }) });
  flipper.start();
  await vi.waitFor(() => expect(seen.failed).toContain(`${ANN} different 10`));
  expect(seen.flipped).toEqual([]);
  result.verdict = 'equal';
  await vi.waitFor(() => expect(seen.flipped).toEqual([ANN]));
  await flipper.stop();
  expect(seen.verified).toEqual([ANN]);
});

test('a flipped lane is compared afterwards, and the result is stored once it is known', async () => {
  const results: Verdict[] = ['not_comparable', 'different'];
  const stored: string[] = [];
  const flip = { lane: ANN, owner: ownerNamed('ann'), service: SERVICE, epoch: 1 };
  const { flipper, service, book } = createFlipper([], {
    compare: async () => ({ verdict: results.shift() ?? 'different' }),
  });
  Object.assign(book, {
    uncompared: async () => (stored.length === 0 ? [flip] : []),
    compared: async (_flip: unknown, result: string) => void stored.push(result),
  });
  service.facts = { ...READY, isAnyFlipped: true };
  flipper.start();
  await vi.waitFor(() => expect(stored).toEqual(['different']));
  await flipper.stop();
});

// The lesson: reconcile after the flip, as a gate. A gate that is only looked at when every lane has moved stops none.
test('a difference of a flipped lane stops the flips before all lanes are flipped', async () => {
  const lanes = Array.from({ length: 401 }, (_, at) => ({ ...candidate(`lane-${at}`), id: at + 1 }));
  const flip = { lane: ANN, owner: ownerNamed('ann'), service: SERVICE, epoch: 1 };
  const { flipper, seen, service, book } = createFlipper([], {
    compare: async () => ({ verdict: 'different' }),
  });
  Object.assign(book, {
    candidates: async (_service: unknown, { after, limit }: { after: number; limit: number }) =>
      lanes.slice(after, after + limit),
    uncompared: async () => (seen.flipped.length > 0 ? [flip] : []),
    compared: async () => {
      service.facts = { ...READY, isAnyFlipped: true, flippedDiffer: 1 };
    },
  });
  flipper.start();
  await vi.waitFor(() => expect(service.facts.flippedDiffer).toBe(1));
  await new Promise((resolve) => setTimeout(resolve, 30));
  await flipper.stop();
  expect(seen.flipped).toHaveLength(200);
});

describe('the facts of a service', () => {
  /** A flipper whose facts arrive when the test lets them, each time as they were when they were asked for. */
  function createAsked() {
    const answers: (() => void)[] = [];
    const journal = { isAnyFlipped: false };
    const { flipper } = createFlipper([], {
      factsOf: async () => {
        const facts = { ...READY, ...journal };
        await new Promise<void>((resolve) => answers.push(resolve));
        return facts;
      },
    });
    return { flipper, answers, journal };
  }

  test('are asked for once by all who need them at the same time', async () => {
    const { flipper, answers } = createAsked();
    const standings = Promise.all([flipper.standing(SERVICE), flipper.standing(SERVICE)]);
    for (const answer of answers) answer();
    await standings;
    expect(answers).toHaveLength(1);
  });

  test('are not kept if they were asked for before a change', async () => {
    const { flipper, answers, journal } = createAsked();
    const before = flipper.standing(SERVICE);
    journal.isAnyFlipped = true;
    flipper.forget(SERVICE);
    const after = flipper.standing(SERVICE);
    answers[1]?.();
    expect((await after).facts.isAnyFlipped).toBe(true);
    answers[0]?.();
    await before;
    expect(flipper.isReady(SERVICE)).toBe(true);
    expect(await flipper.standing(SERVICE)).toBe(await after);
  });

  test('are asked for again after an error', async () => {
    const asked: boolean[] = [];
    const { flipper } = createFlipper([], {
      factsOf: async () => {
        asked.push(true);
        if (asked.length === 1) throw new Error('the journal is away');
        return READY;
      },
    });
    await expect(flipper.standing(SERVICE)).rejects.toThrow('the journal is away');
    expect((await flipper.standing(SERVICE)).facts).toBe(READY);
  });

  test('count the moved lanes only for people', async () => {
    const { flipper, service } = createFlipper([]);
    expect(await flipper.counts(SERVICE)).toMatchObject({ moved: 0, moving: 3 });
    service.facts = { ...READY, isAnyFlipped: true };
    flipper.forget(SERVICE);
    expect(await flipper.counts(SERVICE)).toMatchObject({ moved: 3, moving: 3 });
  });
});

test('slow flips do not postpone the next look at the lanes', async () => {
  let nowMs = 0;
  const sleep = async (ms: number): Promise<void> => {
    nowMs += ms;
    await new Promise((resolve) => setImmediate(resolve));
  };
  const { flipper, seen, book } = createFlipper([], {
    pace: () => ({ after: () => sleep(3_000) }),
    clock: { now: () => nowMs, wallMs: () => 0, sleep },
  });
  const looks: number[] = [];
  Object.assign(book, {
    candidates: async () => {
      looks.push(nowMs);
      return looks.length === 1 ? [candidate('ann'), candidate('bob')] : [];
    },
  });
  flipper.start();
  await vi.waitFor(() => expect(looks.length).toBeGreaterThan(1));
  await flipper.stop();
  expect(seen.flipped).toHaveLength(2);
  const [first = 0, second = Infinity] = looks;
  expect(second - first).toBeLessThan(15_000);
});

describe('several services', () => {
  const OTHER = 'other' as ServiceName;
  const ofService = (service: ServiceName, name: string): FlipCandidate => {
    const owner = ownerNamed(name);
    return { ...candidate(name), lane: laneKeyOf(service, owner) };
  };
  const listOf =
    (lanes: Readonly<Record<string, readonly FlipCandidate[]>>): FlipperParts['book']['candidates'] =>
    async (service, { after }) =>
      after > 0 ? [] : (lanes[service] ?? []);

  test('a comparison that takes long in one delays no flip of another', async () => {
    const { flipper, seen, book } = createFlipper([], {
      services: [SERVICE, OTHER],
      compare: (_service, _owner, { signal }) =>
        new Promise((_, reject) => signal?.addEventListener('abort', () => reject(new Error('stopped')))),
    });
    const unverified = { ...candidate('ann'), verifiedAgoSeconds: 1_000 };
    Object.assign(book, {
      candidates: listOf({ [SERVICE]: [unverified], [OTHER]: [ofService(OTHER, 'bob')] }),
    });
    flipper.start();
    await vi.waitFor(() => expect(seen.flipped).not.toEqual([]));
    await flipper.stop();
  });

  test('one rate holds for all of them together', async () => {
    const waits = { now: 0, most: 0, begun: 0, withPace: [] as number[] };
    const { flipper, book } = createFlipper([], {
      services: [SERVICE, OTHER],
      pace: () => {
        waits.begun += 1;
        return {
          after: async () => {
            waits.now += 1;
            waits.withPace.push(waits.begun);
            waits.most = Math.max(waits.most, waits.now);
            await new Promise((resolve) => setTimeout(resolve, 5));
            waits.now -= 1;
          },
        };
      },
    });
    const names = ['ann', 'bob', 'cat'];
    const lanes = Object.fromEntries(
      [SERVICE, OTHER].map((service) => [service, names.map((name) => ofService(service, name))]),
    );
    Object.assign(book, { candidates: listOf(lanes) });
    flipper.start();
    await vi.waitFor(() => expect(waits.withPace.length).toBeGreaterThanOrEqual(6));
    await flipper.stop();
    expect(waits.most).toBe(1);
    expect(waits.withPace.slice(0, 4)).toEqual([1, 1, 1, 1]);
  });
});

// While legacy is away, such a comparison takes long, and only the orchestrator can answer a new owner.
test('a slow comparison of a flipped lane does not keep new owners on legacy', async () => {
  const flip = { lane: ANN, owner: ownerNamed('ann'), service: SERVICE, epoch: 1 };
  let compared = 0;
  const { flipper, service, book } = createFlipper([], {
    compare: (_service, _owner, { signal }) => {
      compared += 1;
      return new Promise((_, reject) =>
        signal?.addEventListener('abort', () => reject(new Error('stopped'))),
      );
    },
  });
  Object.assign(book, { uncompared: async () => [flip] });
  service.facts = { ...READY, isAnyFlipped: true };
  flipper.start();
  await vi.waitFor(() => expect(compared).toBe(1));
  await new Promise((resolve) => setTimeout(resolve, 30));
  await vi.waitFor(() => expect(flipper.isReady(SERVICE)).toBe(true));
  await flipper.stop();
  expect(compared).toBe(1);
});

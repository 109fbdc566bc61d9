import fc from '../../../support/properties.ts';
import { describe, expect, test } from 'vitest';
import type { DifferenceClass } from '../../../../src/domain/comparison.ts';
import { compare, rule, type Kind } from './compared.ts';

type Path = readonly (string | number)[];

const key = fc.stringMatching(/^[a-z]{1,3}$/);
const { value: json } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.string(),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(key, tie('value'), { maxKeys: 5, noNullPrototype: true }),
  ),
}));
const reply = fc.dictionary(key, json, { minKeys: 1, maxKeys: 5, noNullPrototype: true });

/** Every place of a value, itself included. */
function placesOf(value: unknown, path: Path = []): { readonly path: Path; readonly value: unknown }[] {
  const below = Array.isArray(value)
    ? value.flatMap((element, index) => placesOf(element, [...path, index]))
    : typeof value === 'object' && value !== null
      ? Object.entries(value).flatMap(([name, member]) => placesOf(member, [...path, name]))
      : [];
  return [{ path, value }, ...below];
}

const ABSENT = Symbol('absent');

/** The value with what stands at a path put in another's place, or taken out. */
function planted(value: unknown, [step, ...rest]: Path, other: unknown): unknown {
  if (step === undefined) return other;
  if (Array.isArray(value)) {
    return value.flatMap((element: unknown, index) => {
      const changed = index === step ? planted(element, rest, other) : element;
      return changed === ABSENT ? [] : [changed];
    });
  }
  const members = Object.entries(value as object).map(
    ([name, member]) => [name, name === step ? planted(member, rest, other) : member] as const,
  );
  return Object.fromEntries(members.filter(([, member]) => member !== ABSENT));
}

/** As a difference shows it. */
function textOf(path: Path): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[]`;
    return text === '' ? step : `${text}.${step}`;
  }, '');
}

const NEW = 'nothing that fast-check would draw, for it is far too long';

interface Plant {
  readonly class: DifferenceClass;
  /** What accepts exactly this. */
  readonly covering: Kind;
  readonly fits: (at: { path: Path; value: unknown }) => boolean;
  /** Both replies. */
  readonly pair: (whole: unknown, at: { path: Path; value: unknown }) => readonly [unknown, unknown];
}

const isList = (value: unknown): value is unknown[] => Array.isArray(value);

const PLANTS: readonly Plant[] = [
  {
    class: 'value',
    covering: { kind: 'ignore' },
    fits: ({ path, value }) => path.length > 0 && typeof value === 'string',
    pair: (whole, at) => [whole, planted(whole, at.path, NEW)],
  },
  {
    class: 'type',
    covering: { kind: 'ignore' },
    fits: ({ path, value }) => path.length > 0 && typeof value !== 'string',
    pair: (whole, at) => [whole, planted(whole, at.path, NEW)],
  },
  {
    class: 'missing_in_orchestrator',
    covering: { kind: 'ignore' },
    fits: ({ path }) => path.length > 0,
    pair: (whole, at) => [whole, planted(whole, at.path, ABSENT)],
  },
  {
    class: 'extra_in_orchestrator',
    covering: { kind: 'ignore' },
    fits: ({ path }) => path.length > 0,
    pair: (whole, at) => [planted(whole, at.path, ABSENT), whole],
  },
  {
    class: 'order',
    covering: { kind: 'set' },
    fits: ({ value }) => isList(value) && new Set(value.map((each) => JSON.stringify(each))).size > 1,
    pair: (whole, at) => {
      const list = (at.value as unknown[]).toSorted((a, b) =>
        JSON.stringify(a) < JSON.stringify(b) ? -1 : 1,
      );
      return [planted(whole, at.path, list), planted(whole, at.path, list.toReversed())];
    },
  },
];

const compareValues = (legacy: unknown, orchestrator: unknown, rules = [] as Parameters<typeof compare>[2]) =>
  compare(JSON.stringify(legacy), JSON.stringify(orchestrator), rules);

/** A reply, and a place in it where the plant can stand. */
const placeFor = (plant: Plant) =>
  fc
    .tuple(reply, fc.nat())
    .map(([whole, seed]) => {
      const fitting = placesOf(whole).filter(plant.fits);
      return { whole, at: fitting[seed % Math.max(1, fitting.length)] };
    })
    .filter(
      (found): found is { whole: typeof found.whole; at: { path: Path; value: unknown } } =>
        found.at !== undefined,
    );

const RUNS = { numRuns: 400 };

describe('comparing is', () => {
  test('reflexive, whatever the rules', () => {
    const rules = fc.array(
      fc.tuple(key, fc.constantFrom<Kind>({ kind: 'ignore' }, { kind: 'set' }, { kind: 'keyed', key: 'a' })),
    );
    fc.assert(
      fc.property(reply, rules, (value, drawn) => {
        const result = compareValues(
          value,
          structuredClone(value),
          drawn.map(([path, kind]) => rule(path, kind)),
        );
        expect(result).toMatchObject({ verdict: 'match', differences: [], suppressed: 0 });
      }),
      RUNS,
    );
  });

  test('symmetric: same verdict and paths both ways, missing and extra exchanged', () => {
    const mirrored: Readonly<Record<string, string>> = {
      missing_in_orchestrator: 'extra_in_orchestrator',
      extra_in_orchestrator: 'missing_in_orchestrator',
    };
    fc.assert(
      fc.property(reply, reply, (one, other) => {
        const there = compareValues(one, other);
        const back = compareValues(other, one);
        expect(back.verdict).toBe(there.verdict);
        const places = (result: typeof there, isMirrored: boolean): string[] =>
          result.differences
            .map(({ path, class: kind }) => `${isMirrored ? (mirrored[kind] ?? kind) : kind} ${path}`)
            .toSorted();
        if (there.differences.length < 50) expect(places(back, true)).toEqual(places(there, false));
      }),
      RUNS,
    );
  });
});

/** A number that fast-check does not draw, and how another reader of JSON may spell it. */
const SPELLINGS = [
  ['a float without a fraction', '7000001', '7000001.0', 'type'],
  ['a float with an exponent', '7000000', '7e6', 'type'],
  ['the twentieth digit', '70000000000000000001', '70000000000000000002', 'value'],
] as const;

test.each(SPELLINGS)('%s is seen at any path', (_, mine, theirs, kind) => {
  const MARK = 'the number stands here';
  const place = placeFor({ ...(PLANTS[1] as Plant), fits: ({ path }) => path.length > 0 });
  fc.assert(
    fc.property(place, fc.boolean(), ({ whole, at }, isSet) => {
      const text = JSON.stringify(planted(whole, at.path, MARK));
      const [legacy, orchestrator] = [mine, theirs].map((number) => text.replace(`"${MARK}"`, number));
      const list = textOf(
        at.path.slice(
          0,
          at.path.findLastIndex((step) => typeof step === 'number'),
        ),
      );
      const rules = isSet && list !== '' ? [rule(list, { kind: 'set' })] : [];
      const { differences } = compare(legacy ?? '', orchestrator ?? '', rules);
      expect(differences.map((found) => `${found.class} ${found.path}`)).toEqual([
        `${kind} ${textOf(at.path)}`,
      ]);
    }),
    RUNS,
  );
});

describe.each(PLANTS)('a planted difference of class $class', (plant) => {
  test('is found at any path', () => {
    fc.assert(
      fc.property(placeFor(plant), ({ whole, at }) => {
        const [legacy, orchestrator] = plant.pair(whole, at);
        const { verdict, differences } = compareValues(legacy, orchestrator);
        expect(verdict).toBe('mismatch');
        const found = differences.map(({ path, class: kind }) => `${kind} ${path}`);
        expect(found).toContain(`${plant.class} ${textOf(at.path)}`);
        expect(new Set(found).size).toBe(1);
      }),
      RUNS,
    );
  });

  test('is accepted by a rule for exactly its path', () => {
    fc.assert(
      fc.property(placeFor(plant), ({ whole, at }) => {
        const [legacy, orchestrator] = plant.pair(whole, at);
        const result = compareValues(legacy, orchestrator, [rule(textOf(at.path), plant.covering)]);
        expect(result.verdict).toBe('match');
        expect(result.suppressed).toBeGreaterThan(0);
      }),
      RUNS,
    );
  });

  test('is not hidden by a rule for a neighbouring path', () => {
    fc.assert(
      fc.property(placeFor(plant), key, ({ whole, at }, name) => {
        const neighbour = [...at.path.slice(0, -1), name];
        fc.pre(typeof at.path.at(-1) === 'string' && name !== at.path.at(-1));
        const [legacy, orchestrator] = plant.pair(whole, at);
        const rules = [
          rule(textOf(neighbour), { kind: 'ignore' }),
          rule(`${textOf(at.path)}.${name}`, { kind: 'ignore' }),
        ];
        const { differences } = compareValues(legacy, orchestrator, rules);

        expect(differences.map(({ path }) => path)).toContain(textOf(at.path));
      }),
      RUNS,
    );
  });

  test('stays next to a difference that a rule accepts', () => {
    fc.assert(
      fc.property(placeFor(plant), ({ whole, at }) => {
        fc.pre(at.path[0] !== 'zzzz');
        const [legacy, orchestrator] = plant.pair(whole, at);
        const result = compareValues(
          { ...(legacy as object), zzzz: 1 },
          { ...(orchestrator as object), zzzz: 2 },
          [rule('zzzz', { kind: 'ignore' })],
        );
        expect(result.verdict).toBe('mismatch');
        expect(result.differences.map(({ path }) => path)).toContain(textOf(at.path));
        expect(result.differences.map(({ path }) => path)).not.toContain('zzzz');
      }),
      RUNS,
    );
  });
});

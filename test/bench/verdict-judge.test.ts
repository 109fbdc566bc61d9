import { expect, test } from 'vitest';
import { goalsOf, judgeClass, type Case, type ClassRun } from './verdict-judge.ts';

function cases(count: number, isInjected: boolean, isDetected: boolean | undefined): Case[] {
  return Array.from({ length: count }, (_, index) => ({
    isInjected,
    isDetected,
    askedAtSeconds: index,
    concludedAtSeconds: index + 0.5,
  }));
}

function judged(run: Omit<ClassRun, 'name'>) {
  const whole = { name: 'altered-text', ...run };
  const result = judgeClass(whole);
  return { result, missed: goalsOf(whole, result).flatMap(({ name, met }) => (met ? [] : [name])) };
}

test('every broken answer was found and no other: all goals are met', () => {
  const { result, missed } = judged({
    truth: 'fault',
    tripped: true,
    cases: [...cases(1_000, true, true), ...cases(3_000, false, false)],
  });
  expect(result).toMatchObject({ injected: 1_000, comparable: 1_000, detected: 1_000, missed: 0 });
  expect(result).toMatchObject({ false_alarms: 0, clean: 3_000, seconds_to_detect: 0.5, tripped: true });
  expect(missed).toEqual([]);
});

test('one in a thousand may be missed, two may not', () => {
  const withMissed = (count: number) =>
    judged({
      truth: 'fault',
      tripped: true,
      cases: [...cases(1_000 - count, true, true), ...cases(count, true, false), ...cases(1, false, false)],
    });
  expect(withMissed(1).missed).toEqual([]);
  expect(withMissed(2)).toMatchObject({ result: { missed: 2 }, missed: ['altered-text: detected share'] });
});

test('an answer without a comparison is not missed; nine of ten reads must be compared', () => {
  const withUncompared = (count: number) =>
    judged({
      truth: 'fault',
      tripped: true,
      cases: [...cases(90, true, true), ...cases(count, true, undefined), ...cases(10, false, false)],
    });
  expect(withUncompared(10)).toMatchObject({
    result: { injected: 100, comparable: 90, comparable_share: 0.9, detected: 90, missed: 0 },
    missed: [],
  });
  expect(withUncompared(11).missed).toEqual(['altered-text: comparable share']);
});

test('a class without an injected or a compared answer shows nothing', () => {
  const none = { truth: 'fault', tripped: true } as const;
  expect(judged({ ...none, cases: cases(100, false, false) }).missed).toEqual([
    'altered-text: comparable share',
    'altered-text: detected share',
  ]);
  expect(judged({ ...none, cases: cases(100, true, undefined) }).missed).toEqual([
    'altered-text: comparable share',
    'altered-text: detected share',
    'altered-text: false alarms',
  ]);
});

test('an alarm about an untouched answer misses a goal, and so does a silent guard', () => {
  const found = [...cases(10, true, true), ...cases(9, false, false)];
  expect(
    judged({ truth: 'fault', tripped: true, cases: [...found, ...cases(1, false, true)] }),
  ).toMatchObject({
    result: { false_alarms: 1 },
    missed: ['altered-text: false alarms'],
  });
  expect(judged({ truth: 'fault', tripped: false, cases: found }).missed).toEqual(['altered-text: trips']);
});

test('a harmless difference may raise an alarm, and is never missed', () => {
  const harmless = { truth: 'harmless', tripped: false } as const;
  expect(judged({ ...harmless, cases: cases(10, true, false) })).toMatchObject({
    result: { injected: 10, missed: 0, seconds_to_detect: null },
    missed: [],
  });
  expect(judged({ ...harmless, cases: [...cases(9, true, false), ...cases(1, true, true)] }).missed).toEqual([
    'altered-text: false alarms',
  ]);
  expect(judged({ truth: 'harmless', tripped: true, cases: cases(1, true, false) }).missed).toEqual([
    'altered-text: trips',
  ]);
});

test('one false mismatch in answers without an injected fault misses the goal', () => {
  const clean = { truth: 'none', tripped: false } as const;
  expect(judged({ ...clean, cases: cases(1_000, false, false) }).missed).toEqual([]);
  expect(judged({ ...clean, cases: [...cases(999, false, false), ...cases(1, false, true)] }).missed).toEqual(
    ['altered-text: false alarms'],
  );
  expect(
    judged({ ...clean, cases: cases(900, false, false), notCompared: { racy: 100, dirty: 1 } }).missed,
  ).toEqual(['altered-text: comparable share']);
});

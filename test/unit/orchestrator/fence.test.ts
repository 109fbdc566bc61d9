import { describe, expect, test } from 'vitest';
import { judge, judgeInOrder, type Place, type Verdict } from '../../../src/orchestrator/memories/fence.ts';

const STORED: Place = { epoch: 0, generation: 3, sequence: 10, setBy: 'write' };

describe('the fence', () => {
  const cases: [generation: number, sequence: number | undefined, verdict: Verdict, place: Place][] = [
    [2, 99, 'superseded', STORED],
    [2, undefined, 'superseded', STORED],
    [3, 9, 'already_applied', STORED],
    [3, 10, 'already_applied', STORED],
    [3, 11, 'applied', { ...STORED, sequence: 11 }],
    [3, undefined, 'already_applied', STORED],
    [4, undefined, 'applied', { epoch: 0, generation: 4, sequence: -1, setBy: 'copy' }],
    [4, 0, 'applied', { epoch: 0, generation: 4, sequence: 0, setBy: 'copy' }],
    [4, 5, 'applied', { epoch: 0, generation: 4, sequence: 5, setBy: 'copy' }],
  ];
  test.each(cases)(
    'generation %s, sequence %s against (3, 10) is %s',
    (generation, sequence, verdict, place) => {
      const lane = { key: 'k', generation, ...(sequence === undefined ? {} : { sequence }) };
      expect(judge(STORED, lane)).toEqual({ verdict, place });
    },
  );

  test('accepts the first write of a lane, whatever its number', () => {
    expect(judge(undefined, { key: 'k', generation: 0, sequence: 0 }).verdict).toBe('applied');
  });

  test('judges adjacent parts of one write together, and its repetition as repeated', () => {
    const one = { key: 'k', generation: 1, sequence: 1 };
    const other = { key: 'l', generation: 1, sequence: 1 };
    const places = new Map<string, Place>();
    const verdicts = judgeInOrder([one, one, other, one, undefined], places);
    expect(verdicts).toEqual(['applied', 'applied', 'applied', 'already_applied', 'applied']);
    expect(places.get('k')).toEqual({ epoch: 0, generation: 1, sequence: 1, setBy: 'write' });
  });

  const UNDER_EPOCH: Place = { ...STORED, epoch: 2 };
  const epochs: [epoch: number, generation: number, sequence: number, verdict: Verdict, place: Place][] = [
    [1, 9, 99, 'superseded', UNDER_EPOCH],
    [2, 3, 11, 'applied', { ...UNDER_EPOCH, sequence: 11 }],
    [3, 3, 11, 'applied', { ...STORED, epoch: 3, sequence: 11 }],
    [3, 3, 10, 'already_applied', { ...STORED, epoch: 3 }],
    [3, 2, 99, 'superseded', { ...STORED, epoch: 3 }],
  ];
  test.each(epochs)(
    'epoch %s, generation %s, sequence %s against epoch 2, (3, 10) is %s',
    (epoch, generation, sequence, verdict, place) => {
      expect(judge(UNDER_EPOCH, { key: 'k', epoch, generation, sequence })).toEqual({ verdict, place });
    },
  );

  test('the write that ends a copy is its last part, and the next one is a write again', () => {
    const underCopy = judge(STORED, { key: 'k', generation: 4 }).place;
    const ended = judge(underCopy, { key: 'k', generation: 4, sequence: 10 }).place;
    const next = judge(ended, { key: 'k', generation: 4, sequence: 11 }).place;
    expect([underCopy, ended, next].map(({ setBy }) => setBy)).toEqual(['copy', 'copy', 'write']);
  });
});

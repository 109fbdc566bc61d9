import { describe, expect, test } from 'vitest';
import { judge, judgeInOrder, type Place, type Verdict } from '../../../src/orchestrator/memories/fence.ts';

const STORED: Place = { generation: 3, sequence: 10 };

describe('the fence', () => {
  const cases: [generation: number, sequence: number | undefined, verdict: Verdict, place: Place][] = [
    [2, 99, 'superseded', STORED],
    [2, undefined, 'superseded', STORED],
    [3, 9, 'already_applied', STORED],
    [3, 10, 'already_applied', STORED],
    [3, 11, 'applied', { generation: 3, sequence: 11 }],
    [3, undefined, 'already_applied', STORED],
    [4, undefined, 'applied', { generation: 4, sequence: -1 }],
    [4, 0, 'applied', { generation: 4, sequence: 0 }],
    [4, 5, 'applied', { generation: 4, sequence: 5 }],
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
    expect(places.get('k')).toEqual({ generation: 1, sequence: 1 });
  });
});

import { expect, test } from 'vitest';
import { replicaId, serviceName } from '../../../src/domain/ids.ts';
import { noCounts } from '../../../src/engine/guard/guard-counts.ts';
import type { StoredMinute } from '../../../src/engine/guard/guard-ports.ts';
import { parseMinute, printedMinute } from '../../../src/operator/printed-minutes.ts';

const { replica, ...MINUTE }: StoredMinute = {
  service: serviceName('session-memory'),
  action: 'get_context',
  minuteMs: Date.parse('2026-01-01T12:05:00.000Z'),
  replica: replicaId('here'),
  counts: { ...noCounts(), comparable: 60, bothErrors: 2, notComparable: 1, orchestratorReads: 7 },
};
const PRINTED = JSON.stringify(printedMinute({ ...MINUTE, replica }));

test('a printed minute has only public values, and is read back', () => {
  expect(JSON.parse(PRINTED)).toMatchObject({
    minute: '2026-01-01T12:05:00.000Z',
    counts: { comparable: 60, both_errors: 2, not_comparable: 1, orchestrator_reads: 7, proxy_failures: 0 },
  });
  expect(PRINTED).not.toMatch(/"\w*[A-Z]\w*":/);
  expect(parseMinute(PRINTED)).toEqual(MINUTE);
});

test('a file in the earlier format is read as well', () => {
  expect(parseMinute(JSON.stringify({ ...MINUTE, replica }))).toEqual(MINUTE);
});

test.each(['dropped', 'independent'])('a file from before %s was counted is read as well', (name) => {
  expect(parseMinute(PRINTED.replace(`"${name}":0,`, ''))).toEqual(MINUTE);
});

test.each([
  ['no JSON', '{'],
  ['a list', '[]'],
  ['no minute', PRINTED.replace('2026-01-01T12:05', 'yesterday')],
  ['no counts', PRINTED.replace('"counts"', '"numbers"')],
  ['a count that is left out', PRINTED.replace('"both_errors"', '"errors"')],
  ['no service', PRINTED.replace('"service"', '"name"')],
])('a line is refused: %s', (_what, line) => {
  expect(parseMinute(line)).toBeUndefined();
});

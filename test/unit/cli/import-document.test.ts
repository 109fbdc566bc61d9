import { expect, test } from 'vitest';
import { showImport, showSurvey } from '../../../src/cli/import-document.ts';

const none = { count: 0, owners: [] };
const NO_CONCERNS = {
  unreadable: none,
  about_to_be_forgotten: none,
  escaped_items: none,
  oversize_items: none,
  repeated_items: none,
  shortened_ids: none,
  times_going_backwards: none,
  unknown_times: none,
};

test('a survey shows the counts and problems of each service', () => {
  const survey: Parameters<typeof showSurvey>[0] = {
    'jarvis-memory': {
      owners_from: 'store',
      lanes: 2,
      items: 1,
      content_bytes: 20_480,
      newest_at: '2026-01-01T00:00:00.000Z',
      concerns: { ...NO_CONCERNS, shortened_ids: { count: 1, owners: ['a'.repeat(600)] } },
      strays: { 'users whose id no lane can carry': 3, 'other users': 0 },
      to_embed: { items: 1, seconds_with_the_built_in_model: 600 },
    },
    'session-memory': { not_listed: 'its file is not there' },
  };
  expect(showSurvey(survey).split('\n')).toEqual([
    'jarvis-memory',
    '  2 lanes, 1 item, 20 KiB, the newest of 2026-01-01T00:00:00.000Z',
    '  1 item to embed: about 10 min with the built-in model',
    '  ! 1 × owners whose id is too long for a session: copied under a shortened id',
    `      ${'a'.repeat(59)}…`,
    '  ! 3 × users whose id no lane can carry: no lane shows them, so they stay on legacy',
    'session-memory',
    '  left out: its file is not there',
  ]);
});

test('an import lists what was left out and why, at most 50 entries', () => {
  const skipped = Array.from({ length: 60 }, (_, index) => ({
    owner: `s ${index}`,
    reason: 'its file is not whole',
  }));
  const shown = showImport({
    'jarvis-memory': {
      digest: 'd1',
      skipped: [{ owner: 'ann', reason: 'longer than 1 MiB', items: 2 }, ...skipped],
      mapping: [{ from: 'memory', to: 'content.memory' }],
      samples: [{ owner: 'ann', items: 3, digest: 'f'.repeat(32), first_item: { memory: 'string(3)#1' } }],
    },
  });
  expect(shown).toMatch(/^jarvis-memory, digest d1\n {2}left out\n {4}ann: 2 items, longer than 1 MiB\n/);
  expect(shown).toContain('\n    "s 48": its file is not whole\n    and 11 more: --json shows all\n');
  expect(shown).toContain('\n  where it went\n    memory → content.memory\n');
  expect(shown).toMatch(/\n {4}ann {3}3 {6}f{12} {2}memory string\(3\)#1$/);
});

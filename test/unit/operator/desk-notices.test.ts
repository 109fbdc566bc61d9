import { expect, test } from 'vitest';
import { GLOSSARY, term } from '../../../src/operator/desk/glossary.ts';
import { inFieldNames } from '../../../src/operator/desk/operator-api.ts';
import { glossaryPage } from '../../../src/operator/desk/pages/glossary.ts';
import { noticeBar } from '../../../src/operator/desk/pages/layout.ts';
import { RUN_CHANGES } from '../../../src/operator/desk/run-changes.ts';
import { answeringApi } from '../../support/desk/answering-api.ts';

test.each(['/runs/backfill', '/runs/reconcile', '/runs/:run/repair', '/runs/:kind/resume'])(
  'after %s the notice links to the run that was started',
  async (path) => {
    const route = RUN_CHANGES.find((one) => one.path === path);
    const sent = { form: {}, params: { run: '3' }, by: { person: 'ann', reason: 'a test' } };
    const done = await route?.make(
      answeringApi(() => ({ run: 7 })),
      sent,
    );
    if (done === undefined || typeof done === 'string') throw new Error('a notice with a link was expected');
    expect(String(noticeBar({ tone: 'good', ...done }))).toContain('<a href="/runs/7">Open run 7</a>');
  },
);

test('messages name fields of the form instead of command-line options', () => {
  expect(inFieldNames('check the plan, then raise --limit-share')).toBe(
    'check the plan, then raise the field “Repair at most, percent of the compared items”',
  );
  expect(inFieldNames('--url is not ours')).toBe('--url is not ours');
});

test('a term shows its meaning as a tooltip and links to the glossary', async () => {
  expect(String(term('lane', 'Lanes'))).toContain(`href="/glossary#lane" title="${GLOSSARY.lane}">Lanes</a>`);
  const page = String((await glossaryPage()).body);
  for (const name of ['lane', 'seeded', 'generation', 'covered', 'dead-letter'])
    expect(page).toContain(`id="${name}"`);
});

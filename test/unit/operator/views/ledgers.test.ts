import { expect, test } from 'vitest';
import { serviceName } from '../../../../src/domain/ids.ts';
import { cards } from '../../../../src/operator/desk/pages/table-panel.ts';
import { html } from '../../../../src/operator/views/html.ts';
import { deadLettersTable, unknownOutcomesTable } from '../../../../src/operator/views/ledgers.ts';
import { tableText } from '../../../../src/operator/views/terminal.ts';

const AT = '2026-01-01T00:00:00.000Z';
const WRITE = {
  operation_id: 'o-1',
  service: serviceName('session-memory'),
  lane: 'session-memory/ann/1',
  sequence: 7,
  action: 'add_interaction',
};
const LETTER = {
  ...WRITE,
  code: 'validation_error',
  reason: '<content> is too long',
  refused_at: AT,
  attempts: 2,
  state: 'open',
  resolved_at: null,
  resolved_by: null,
  resolved_reason: null,
  through: false,
  waiting_behind: 3,
};
const UNKNOWN = {
  ...WRITE,
  accepted_at: AT,
  found_at: AT,
  end: null,
  ended_at: null,
  closed_at: null,
  decided_by: null,
  decided_reason: null,
  waits_for: 'person' as const,
  choices: ['assume-applied' as const],
};

test('a dead letter shows its write, reason, attempts, and what waits', () => {
  expect(
    tableText(deadLettersTable([LETTER]))
      .split('\n')[1]
      ?.replaceAll(/ {2,}/g, '  '),
  ).toBe(
    `add_interaction of session-memory/ann/1 (write 7)  open  validation error: <content> is too long  ${AT}  2  3  o-1  –`,
  );
});

test('on the desk a dead letter is a card with its forms, and without empty members', () => {
  const page = String(cards(deadLettersTable([LETTER]), [html`<form></form>`]));
  expect(page).toContain('<a href="/lanes/session-memory/ann%2F1">session-memory/ann/1</a>');
  expect(page).toMatch(/<span class="state bad"><span aria-hidden="true">▲<\/span> open<\/span>/);
  expect(page).toContain('&lt;content&gt; is too long');
  expect(page).toContain('<div class="deeds"><form></form></div>');
  expect(page).not.toContain('Decision');
});

test('an unknown outcome shows what it waits for, or how it ended and who decided', () => {
  const ended = {
    ...UNKNOWN,
    end: 'assumed_lost',
    waits_for: null,
    decided_by: 'ann',
    decided_reason: 'seen',
  };
  const lines = tableText(unknownOutcomesTable([UNKNOWN, ended])).split('\n');
  expect(lines[1]).toContain('a person must decide');
  expect(lines[2]).toMatch(/assumed lost.*ann: seen$/);
});

import { expect, test } from 'vitest';
import { flagPage, flagsPage } from '../../../src/operator/desk/pages/flags.ts';
import { ApiRefusal } from '../../../src/operator/desk/operator-api.ts';
import type { Visit } from '../../../src/operator/desk/visit.ts';
import { answeringApi } from '../../support/desk/answering-api.ts';

const KILL_SWITCH = 'crossfade.kill-switch';
const CUTOVER = 'crossfade.session-memory.read-cutover';
const FLAGS = {
  source: 'files',
  fresh: true,
  editable: true,
  server: null,
  flags: [
    { name: KILL_SWITCH, service: null, flag: 'kill-switch', kind: 'switch', asked: 0 },
    { name: CUTOVER, service: 'session-memory', flag: 'read-cutover', kind: 'share', asked: 25 },
  ],
};

/** The journal is so slow that nothing that needs it is answered. */
const visit: Visit = {
  api: answeringApi((path) => {
    if (path === '/v1/flags') return FLAGS;
    throw new ApiRefusal(503, 'storage_error', 'the database did not answer in time');
  }),
  visitor: { role: 'operator', name: 'on-call' },
  csrf: 'secret',
  person: '',
  path: '/flags',
  status: undefined,
};

test('the kill switch has its form while the journal does not answer', async () => {
  const { body } = await flagPage(visit, { params: { flag: KILL_SWITCH }, query: { share: '100' } });
  expect(String(body)).toContain(`action="/flags/${KILL_SWITCH}"`);
  expect(String(body)).toContain('Switch on');
});

test('a share has its form while the journal does not answer', async () => {
  const { body } = await flagPage(visit, { params: { flag: CUTOVER }, query: { share: '0' } });
  expect(String(body)).toContain(`action="/flags/${CUTOVER}"`);
  expect(String(body)).toContain('25 % is requested. The journal does not answer');
  expect(String(body)).toContain('The criteria are unknown: the database did not answer in time');
});

test('the list of flags shows what is requested while the journal does not answer', async () => {
  const { body } = await flagsPage(visit);
  expect(String(body)).toContain('Switch on…');
  expect(String(body)).toContain(`<a href="/flags/${CUTOVER}">`);
});

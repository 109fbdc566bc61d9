import { expect, test } from 'vitest';
import { runsOf } from '../../../src/orchestrator/memories/write.ts';
import type { Action } from '../../../src/orchestrator/wire/payloads.ts';
import type { Request } from '../../../src/orchestrator/wire/request.ts';
import { requestWith } from './request-with.ts';

/** `create ann 1`: an action, its session, and the memory it names. */
function requestOf(said: string): Request {
  const [action, sessionId = '', memory] = said.split(' ');
  const payload = memory === undefined ? {} : { memory_id: memory };
  return requestWith(action as Action, payload, sessionId);
}

const runs = (...said: string[]): string[] => {
  const requests = said.map(requestOf);
  return runsOf(requests, [...requests.keys()]).map((run) => run.join());
};

test('the rows and memories of many sessions are two runs', () => {
  expect(
    runs(
      'upsert_session a',
      'create a 1',
      'create a 2',
      'upsert_session b',
      'create b 3',
      'upsert_session c',
    ),
  ).toEqual(['0,3,5', '1,2,4']);
});

test('a session and its memories stay in their order', () => {
  expect(runs('create a 1', 'upsert_session a', 'create a 2')).toEqual(['0', '1', '2']);
  expect(runs('upsert_session a', 'upsert_session a')).toEqual(['0', '1']);
  expect(runs('upsert_session a', 'create a 1', 'upsert_session a', 'create a 2')).toEqual([
    '0',
    '1',
    '2',
    '3',
  ]);
});

test('two operations on one memory are written separately, in any session', () => {
  expect(runs('create a 1', 'create b 1')).toEqual(['0', '1']);
  expect(runs('upsert_session a', 'create a 1', 'upsert_session b', 'create b 1')).toEqual(['0,2', '1', '3']);
});

test.each(['update', 'delete', 'bulk_delete', 'end_session', 'create_session', 'put_profile'])(
  'no operation overtakes %s, and it overtakes none',
  (action) => {
    expect(runs('create a 1', `${action} a 2`, 'create b 3')).toEqual(['0', '1', '2']);
    expect(runs(`${action} a 2`, 'create b 3', `${action} c 4`)).toEqual(['0', '1', '2']);
  },
);

test('adjacent changes of different memories are one run', () => {
  expect(runs('update a 1', 'update a 2', 'update a 1')).toEqual(['0,1', '2']);
});

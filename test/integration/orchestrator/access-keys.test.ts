import { setTimeout as sleep } from 'node:timers/promises';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadOrchestratorSettings } from '../../../src/cli/orchestrator-settings.ts';
import { ROLES, type Role } from '../../../src/orchestrator/access/identity.ts';
import { createOrchestrator } from '../../../src/orchestrator/orchestrator.ts';
import { dumpOf, type GuardedOrchestrator, startGuarded } from '../../support/access.ts';
import { eventually } from '../../support/eventually.ts';
import { type Answer, settingsWith } from '../../support/orchestrator.ts';
import { createPlace as createPlaceBy } from '../../support/place.ts';

let orchestrator: GuardedOrchestrator;
const keys = {} as Record<Role, string>;

beforeAll(async () => {
  orchestrator = await startGuarded({
    access: { keys: 'required', keyCacheMs: 1_000, requestsPerSecond: 10_000, logFlushMs: 20 },
  });
  for (const role of ROLES) {
    const grant = role === 'agent' ? { agent: 'ada', users: ['user-ada'] } : { agent: role, role };
    keys[role] = (await orchestrator.grant(grant)).text;
  }
});
afterAll(() => orchestrator.stop());

const createPlace = (agent: string) => createPlaceBy(orchestrator.as(keys.migration), agent);

describe('an unusable key', () => {
  const REFUSED: readonly (readonly [string, () => Promise<string | undefined>])[] = [
    ['key_missing', async () => undefined],
    ['key_missing', async () => ''],
    ['key_unknown', async () => 'nonsense'],
    ['key_unknown', async () => `cfo_${'0'.repeat(12)}_${'A'.repeat(43)}`],
    ['key_unknown', async () => `${keys.admin.slice(0, -4)}AAAA`],
    [
      'key_revoked',
      async () => {
        const { keyId, text } = await orchestrator.grant({ agent: 'gone' });
        await orchestrator.revoke(keyId);
        return text;
      },
    ],
    ['key_expired', async () => (await orchestrator.grant({ agent: 'old', expiresAt: new Date(0) })).text],
  ];

  test.each(REFUSED)('%s', async (reason, keyOf) => {
    const key = await keyOf();
    const { error, request_id: id } = await orchestrator.as(key)(
      'read',
      { memory_id: 'm' },
      { session_id: 's', request_id: 'r' },
    );
    expect(error).toMatchObject({ code: 'permission_denied', details: { reason, effect: 'rejected' } });
    expect(id).toBe('r');
    const response = await fetch(`http://127.0.0.1:${orchestrator.httpPort}/v1/read`, {
      method: 'POST',
      headers: key === undefined ? {} : { authorization: `Bearer ${key}` },
      body: '{}',
    });
    expect([response.status, response.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
  });

  test('health answers without one', async () => {
    for (const action of ['health', 'ping', 'health_check'])
      expect((await orchestrator.as(undefined)(action)).status).toBe('success');
  });

  test.each(['/metrics', '/openapi.json'])('GET %s needs a key, of any role', async (page) => {
    const get = async (headers: Record<string, string>) =>
      (await fetch(`http://127.0.0.1:${orchestrator.httpPort}${page}`, { headers })).status;
    expect(await get({})).toBe(401);
    expect(await get({ authorization: 'Bearer nonsense' })).toBe(401);
    expect(await get({ authorization: `Bearer ${keys.agent}` })).toBe(200);
  });

  test('a long message without a good key is refused before it is parsed', async () => {
    // What is behind the key is no JSON: had it been parsed, it would have been refused for that.
    const rest = `,"payload":{"tags":[${'1,'.repeat(50_000)}x]}}`;
    const send = async (key: string, headers: Record<string, string> = {}) => {
      const body = `{"request_id":"r"${key === '' ? '' : `,"auth":{"key":"${key}"}`}${rest}`;
      const url = `http://127.0.0.1:${orchestrator.httpPort}/v1/create`;
      const response = await fetch(url, { method: 'POST', headers, body });
      const { error, request_id: id } = (await response.json()) as Answer;
      return [response.status, error.code, error.details?.['reason'], id];
    };
    expect(await send('')).toEqual([401, 'permission_denied', 'key_missing', 'r']);
    expect(await send('nonsense')).toEqual([401, 'permission_denied', 'key_unknown', 'r']);
    expect(await send('', { authorization: 'Bearer nonsense' })).toEqual([
      401,
      'permission_denied',
      'key_unknown',
      'r',
    ]);
    expect((await send(keys.agent)).slice(0, 2)).toEqual([400, 'invalid_request']);
  });

  test('the bearer header works like auth.key', async () => {
    const { session } = await createPlace('ada');
    const response = await fetch(`http://127.0.0.1:${orchestrator.httpPort}/v1/batch_read`, {
      method: 'POST',
      headers: { authorization: `Bearer ${keys.agent}` },
      body: JSON.stringify({ session_id: session }),
    });
    expect(response.status).toBe(200);
  });

  test('a cached key stops working within two seconds after its end', async () => {
    const { keyId, text } = await orchestrator.grant({ agent: 'ada', role: 'admin' });
    const ask = orchestrator.as(text);
    expect((await ask('list_sessions')).status).toBe('success');
    await orchestrator.revoke(keyId);
    const revokedAt = performance.now();
    for (;;) {
      const askedAt = performance.now();
      if ((await ask('list_sessions')).status !== 'success') break;
      // The answer may be late; what was asked later than that may not be allowed.
      expect(askedAt - revokedAt).toBeLessThan(2_000);
      await sleep(20);
    }
  });
});

describe('the rate of a key', () => {
  test('above it, requests are refused with the time to wait; other keys are not touched', async () => {
    await orchestrator.restart({ access: { keys: 'required', burst: 5, logFlushMs: 20, pages: 'open' } });
    // A scraper without a key, where the setting permits that.
    expect((await fetch(`http://127.0.0.1:${orchestrator.httpPort}/metrics`)).status).toBe(200);
    const { text } = await orchestrator.grant({ agent: 'hasty', requestsPerSecond: 10 });
    const startedAt = performance.now();
    const answers = await Promise.all(Array.from({ length: 200 }, () => orchestrator.as(text)('ping')));
    const seconds = Math.floor((performance.now() - startedAt) / 1_000);
    const refused = answers.filter(({ status }) => status === 'error');
    // Ten in each second that it took, of which the first and the last are not whole, and the burst.
    expect(refused.length).toBeGreaterThanOrEqual(200 - (seconds + 2) * 10 - 5);
    for (const { error } of refused) {
      expect(error).toMatchObject({ code: 'rate_limit_exceeded', details: { effect: 'not_applied' } });
      expect(error.details['retry_after_ms']).toBeGreaterThan(0);
      expect(error.details['retry_after_ms']).toBeLessThanOrEqual(10_000);
    }
    const responses = await Promise.all(
      Array.from({ length: 60 }, () =>
        fetch(`http://127.0.0.1:${orchestrator.httpPort}/v1/ping`, {
          method: 'POST',
          headers: { authorization: `Bearer ${text}` },
        }),
      ),
    );
    const response = responses.find(({ status }) => status === 429);
    expect(Number(response?.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    expect((await orchestrator.as(keys.admin)('ping')).status).toBe('success');
  });
});

describe('the access log', () => {
  test('has every operation with caller and result, and no content', async () => {
    const secret = 'the-hydrangea-by-the-gate';
    const { session, memory } = await createPlace('ada');
    // Entries have whole milliseconds: what was done before must not share one with the mark.
    await sleep(10);
    const [mark] = await orchestrator.database.query<{ now: Date }>('select clock_timestamp() as now');
    const ask = orchestrator.as(keys.agent);
    const at = { session_id: session };
    await ask(
      'create',
      { memory_type: 'fact', content: { source_agent: 'ada', text: secret, metadata: { secret } } },
      at,
    );
    await ask('search', { query: secret }, at);
    await ask(
      'batch_write',
      { operations: [{ action: 'update', payload: { memory_id: memory, tags: ['t'] } }] },
      at,
    );
    await ask('read', { memory_id: memory }, at);
    await ask('read', { memory_id: secret }, { session_id: `of ${secret}`.slice(0, 3) });
    await ask('scan', {}, at);
    await ask(secret, { secret }, at);
    await orchestrator.as(secret)('read', { memory_id: memory }, at);
    await ask('ping');
    const rows = await eventually('the log is written', async () => {
      const found = await orchestrator.database.query<Record<string, unknown>>(
        'select * from memory_access_logs where timestamp >= $1 order by log_id',
        [mark?.now],
      );
      return found.length >= 8 && found;
    });
    const told = rows.map(
      ({ operation, agent_id, session_id, memory_id, outcome, error_message, transport }) => [
        operation,
        agent_id,
        session_id,
        memory_id,
        outcome,
        error_message,
        transport,
      ],
    );
    expect(told).toEqual([
      ['create', 'ada', session, null, 'success', null, 'zmq'],
      ['search', 'ada', session, null, 'success', null, 'zmq'],
      ['batch_write', 'ada', session, null, 'success', null, 'zmq'],
      ['read', 'ada', session, memory, 'success', null, 'zmq'],
      ['read', 'ada', 'of ', secret, 'memory_not_found', null, 'zmq'],
      ['scan', 'ada', session, null, 'permission_denied', 'role', 'zmq'],
      ['unknown', 'ada', null, null, 'invalid_request', null, 'zmq'],
      ['read', null, null, null, 'permission_denied', 'key_unknown', 'zmq'],
    ]);
    expect(rows[2]?.['request_data']).toEqual({ operations: 1 });
    for (const row of rows.filter(({ memory_id: id }) => id !== secret))
      expect(JSON.stringify(row)).not.toContain(secret);
    await eventually('the use of the key is written down', async () => {
      const [key] = await orchestrator.database.query<{ last_used_at: Date | null }>(
        `select last_used_at from access_keys where agent = 'ada' and role = 'agent'`,
      );
      return (key?.last_used_at?.getTime() ?? 0) >= (mark?.now.getTime() ?? Infinity);
    });
  });

  test('the database contains no key', async () => {
    const dump = await dumpOf(orchestrator.database);
    for (const key of Object.values(keys)) {
      expect(dump).not.toContain(key);
      expect(dump).not.toContain(key.slice(-43));
    }
    expect(dump).toContain(keys.admin.slice(4, 16));
  });

  test('deletes old entries, and writes waiting entries at a stop', async () => {
    await orchestrator.database.query(
      `insert into memory_access_logs (operation, timestamp, success, outcome, latency_ms, transport)
       values ('read', now() - interval '40 days', true, 'success', 1, 'zmq')`,
    );
    const count = async () =>
      (
        await orchestrator.database.query<{ count: number }>(
          'select count(*) as count from memory_access_logs',
        )
      )[0]?.count ?? 0;
    const before = await count();
    await orchestrator.restart({ access: { keys: 'required', logRetentionDays: 30, logFlushMs: 3_600_000 } });
    await eventually('the old entry is gone', async () => (await count()) === before - 1);
    await orchestrator.as(keys.admin)('list_sessions');
    expect(await count()).toBe(before - 1);
    await orchestrator.restart({ access: { keys: 'required' } });
    expect(await count()).toBe(before);
  });
});

describe('a public address', () => {
  const start = (access: object) =>
    createOrchestrator({
      settings: settingsWith({ listen: { host: '0.0.0.0', port: 1, httpPort: 2 } }, { access }),
      version: 'test',
      log: pino({ level: 'silent' }),
    });

  test('is refused without keys, with the reason', () => {
    expect(() => start({ keys: 'off' })).toThrow(
      /listen\.host must be a loopback address while access\.keys is off/,
    );
    expect(() => start({ keys: 'required' })).not.toThrow();
    const load = (env: Record<string, string>) =>
      loadOrchestratorSettings({ env: { ORCHESTRATOR_HOST: '0.0.0.0', ...env } });
    expect(() => load({})).toThrow(/access\.keys is off/);
    expect(load({ ORCHESTRATOR_ACCESS_KEYS: 'required' }).listen.host).toBe('0.0.0.0');
  });
});

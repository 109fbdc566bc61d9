import { fastify } from 'fastify';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { flagName, type ServiceFlag } from '../../src/domain/flags.ts';
import { serviceName, type ServiceName } from '../../src/domain/ids.ts';
import { registerFlagRoutes } from '../../src/operator/routes/flag-routes.ts';
import { runCommand } from '../support/command.ts';
import { freePort } from '../support/ports.ts';

const [SESSION, JARVIS] = [serviceName('session-memory'), serviceName('jarvis-memory')];
const shares = new Map<string, number>();
const app = fastify();
let url: string;

beforeAll(async () => {
  registerFlagRoutes(app, {
    services: [SESSION, JARVIS],
    flags: {
      percentage: (flag: ServiceFlag, service: ServiceName) => shares.get(flagName(service, flag)) ?? 0,
      killSwitch: () => (shares.get('crossfade.kill-switch') ?? 0) > 0,
      describe: () => ({ source: 'files', fresh: true }),
    },
    editor: {
      async set({ name, share }) {
        shares.set(name, share);
        return { result: 'written', file: 'crossfade.json' };
      },
    },
    audit: { add: async () => undefined },
    clock: { now: () => 0, sleep: async () => undefined },
  });
  url = await app.listen({ host: '127.0.0.1', port: await freePort() });
});
afterAll(() => app.close());
beforeEach(() => shares.clear());

const set = (flag: string, value: string) =>
  runCommand(['flags', 'set', flag, value, '--person', 'ann', '--reason', 'a test', '--url', url]);

const DUAL = 'crossfade.session-memory.dual-write';
const READS = 'crossfade.session-memory.read-cutover';

test.each([
  ['on', 100],
  ['true', 100],
  ['100', 100],
  ['off', 0],
  ['FALSE', 0],
])('a switch can be set to %s', async (value, share) => {
  shares.set(DUAL, 100 - share);
  const { code, stdout } = await set(DUAL, value);
  expect([code, stdout]).toEqual([0, expect.stringContaining(`${DUAL} requests ${share} %`)]);
  expect(shares.get(DUAL)).toBe(share);
});

test.each([
  ['dual-write', 'on', `unknown flag "dual-write": use ${DUAL} or crossfade.jarvis-memory.dual-write`],
  ['kill-switch', 'on', 'unknown flag "kill-switch": use crossfade.kill-switch'],
  ['nonsense', '1', 'unknown flag "nonsense": crossfade flags list shows all flags'],
  [DUAL, '50', `${DUAL} is a switch: type on or off instead of "50"`],
  [READS, 'on', `${READS} is a share: type a whole number from 0 to 100 instead of "on"`],
  [READS, 'high', 'must be a whole number from 0 to 100, or on or off for a switch, got "high"'],
])('%s cannot be set to %s, and the error says what to type', async (flag, value, message) => {
  const { code, stderr } = await set(flag, value);
  expect([code, stderr]).toEqual([1, expect.stringContaining(message)]);
  expect(shares.size).toBe(0);
});

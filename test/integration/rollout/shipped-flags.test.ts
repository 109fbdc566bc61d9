import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { SERVICE_FLAGS } from '../../../src/domain/flags.ts';
import { serviceName } from '../../../src/domain/ids.ts';
import { createOfflineFlags } from '../../../src/rollout/offline.ts';
import { contextOf } from './flag-builder.ts';

test('the shipped flags write twice, compare every read and move nothing', async () => {
  const flags = createOfflineFlags({ folder: fileURLToPath(new URL('../../../flags', import.meta.url)) });
  await flags.start();
  for (const name of ['session-memory', 'contextual-memory', 'jarvis-memory']) {
    const service = serviceName(name);
    expect(Object.fromEntries(SERVICE_FLAGS.map((flag) => [flag, flags.percentage(flag, service)]))).toEqual({
      'dual-write': 100,
      'shadow-read': 100,
      'read-cutover': 0,
      'write-cutover': 0,
      'legacy-read-only': 0,
    });
    for (const flag of SERVICE_FLAGS)
      expect(flags.isEnabled(flag, { ...contextOf('a'), service }).reason).toMatch(/^(on|off)$/);
  }
  expect(flags.killSwitch()).toBe(false);
  await flags.stop();
});

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { SERVICE_FLAGS } from '../../../src/domain/flags.ts';
import { serviceName } from '../../../src/domain/ids.ts';
import { blueprintsOf } from '../../../src/rollout/flag-blueprint.ts';
import { createOfflineFlags } from '../../../src/rollout/offline.ts';
import { contextOf } from './flag-builder.ts';

const SERVICES = ['session-memory', 'contextual-memory', 'jarvis-memory'].map(serviceName);
const FOLDER = fileURLToPath(new URL('../../../flags', import.meta.url));

test('the shipped flags equal those of a push, including texts and groups', () => {
  const { features } = JSON.parse(readFileSync(join(FOLDER, 'crossfade.json'), 'utf8')) as {
    features: { name: string; type: string; description: string; strategies: Strategy[] }[];
  };
  interface Strategy {
    readonly name: string;
    readonly parameters: Readonly<Record<string, string>>;
  }
  const told = ({ name, type, description }: { name: string; type: string; description: string }) => ({
    name,
    type,
    description,
  });
  const blueprints = blueprintsOf(SERVICES);
  expect(features.map(told)).toEqual(blueprints.map(told));
  for (const [index, { strategies }] of features.entries()) {
    const { groupId, stickiness } = blueprints[index]?.strategy.parameters ?? {};
    for (const { name, parameters } of strategies)
      if (name === 'flexibleRollout') expect(parameters).toMatchObject({ groupId, stickiness });
  }
});

test('a push creates shares on at 0 % and switches off at 100 %', () => {
  for (const { name, enabled, strategy } of blueprintsOf(SERVICES)) {
    const isSwitch = /\.(?:dual-write|legacy-read-only|kill-switch)$/.test(name);
    expect([enabled, strategy.parameters.rollout], name).toEqual(isSwitch ? [false, '100'] : [true, '0']);
  }
});

test('the shipped flags enable dual writes and shadow reads, and move nothing', async () => {
  const flags = createOfflineFlags({ folder: FOLDER });
  await flags.start();
  for (const service of SERVICES) {
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

import { expect, test } from 'vitest';
import { ConfigSchema } from '../../../src/config/schema.ts';
import { replicaId, serviceName } from '../../../src/domain/ids.ts';
import type { Latch } from '../../../src/engine/ports/finding.ts';
import { shownSettings } from '../../../src/operator/shown-settings.ts';
import { gatherBundle } from '../../../src/operator/trip-bundle.ts';

const LATCH: Latch = {
  id: 7,
  service: serviceName('session-memory'),
  finding: {
    service: serviceName('session-memory'),
    trigger: 'errors',
    steps: ['reads_to_legacy'],
    numbers: { hits: 9 },
  },
  replica: replicaId('11111111-1111-4111-8111-111111111111'),
  trippedAtMs: 1_000,
  coolDownUntilMs: 2_000,
};
const MOST_BYTES = 256 * 1024;

async function gathered(sections: Parameters<typeof gatherBundle>[1]): Promise<Record<string, unknown>> {
  const text = await gatherBundle(LATCH, sections);
  expect(Buffer.byteLength(text)).toBeLessThanOrEqual(MOST_BYTES);
  return JSON.parse(text) as Record<string, unknown>;
}

test('a section that fails is replaced by the reason, and the others are there', async () => {
  const away = () => Promise.reject(new Error('the database does not answer'));
  const broken = () => {
    throw new Error('no books');
  };
  expect(await gathered({ minutes: away, books: broken, flags: () => ['one'] })).toMatchObject({
    bundle: 7,
    latch: { finding: { trigger: 'errors' } },
    minutes: { missing: 'the database does not answer' },
    books: { missing: 'no books' },
    flags: ['one'],
  });
});

test('no section shows a lane, because its key holds its owner', async () => {
  const giant = { lane: 'session-memory/ann', lanes: 3, share: 0.5 };
  expect((await gathered({ comparisons: () => ({ examples: [giant] }) }))['comparisons']).toEqual({
    examples: [{ lanes: 3, share: 0.5 }],
  });
});

test('long sections are cut, longest first, and marked', async () => {
  const rows = Array.from({ length: 10_000 }, (_, index) => ({ index, text: 'ä'.repeat(40) }));
  const bundle = await gathered({
    minutes: () => rows,
    flags: () => ['one'],
    blob: () => 'x'.repeat(MOST_BYTES),
  });
  const minutes = bundle['minutes'] as { index: number }[];
  expect(minutes[0]?.index).toBe(0);
  expect(minutes.length).toBeGreaterThan(500);
  expect(bundle['flags']).toEqual(['one']);
  expect(bundle['cut']).toEqual({
    minutes: `only the first ${minutes.length} are here`,
    blob: 'too long for the bundle',
  });
});

test('no setting that could be a secret is shown', () => {
  const secrets: string[] = [];
  /** A configuration in which every text is a secret, as far as its schema lets it. */
  const filled = (schema: unknown, name: string): unknown => {
    if (typeof schema !== 'object' || schema === null) return undefined;
    const { properties, type } = schema as { properties?: Record<string, unknown>; type?: string };
    if (properties !== undefined)
      return Object.fromEntries(Object.entries(properties).map(([key, inner]) => [key, filled(inner, key)]));
    if (type !== 'string' || !/token|key|secret|url|endpoint/i.test(name)) return undefined;
    const secret = `hidden-${secrets.length}-hidden`;
    secrets.push(secret);
    return /url|endpoint/i.test(name)
      ? `https://user:${secret}@host:1/${secret}?${secret}#${secret}`
      : secret;
  };
  const shown = JSON.stringify(shownSettings(filled(ConfigSchema, '')));
  expect(secrets.length).toBeGreaterThan(10);
  expect(shown).not.toContain('hidden');
  expect(shown).toContain('https://host:1');
  expect(shown).toContain('"adminToken":"(set)"');
});

test('other settings are shown unchanged', () => {
  const settings = {
    http: { port: 5580 },
    services: { s: { timeZone: 'Europe/Berlin', legacy: { inFlight: 1 } } },
  };
  expect(shownSettings(settings)).toEqual(settings);
});

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { groupsOf, QUICK_FILES, ROOT, SYSTEM_FILES, testFiles, tierOf } from './tiers.ts';

const FILES = testFiles();
const GROUPS = groupsOf(FILES);
const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>;
};

describe('the tiers', () => {
  test('every test file is in exactly one tier, and its tier runs it', () => {
    expect(FILES.length).toBeGreaterThan(300);
    expect([...GROUPS.unit, ...GROUPS.quick, ...GROUPS.system].toSorted()).toEqual(FILES);
  });

  test('a file that leaves cases to the system tier is run there once more', () => {
    expect(GROUPS.rest.length).toBeGreaterThan(30);
    expect(GROUPS.rest).toContain('test/integration/storage/journal.test.ts');
    for (const file of GROUPS.rest) expect(tierOf(file), file).toBe('quick');
  });

  test.each([...SYSTEM_FILES, ...QUICK_FILES])('%s is listed because its folder says otherwise', (file) => {
    expect(existsSync(join(ROOT, file))).toBe(true);
    expect([...SYSTEM_FILES, ...QUICK_FILES].filter((other) => other === file)).toHaveLength(1);
  });

  test('a new file falls into a tier by its folder', () => {
    expect(tierOf('test/unit/new.test.ts')).toBe('quick');
    expect(tierOf('test/integration/storage/new.test.ts')).toBe('quick');
    expect(tierOf('test/e2e/new.test.ts')).toBe('system');
    expect(tierOf('test/new-folder/new.test.ts')).toBe('system');
  });

  test('the two commands run every project between them', () => {
    const system = readFileSync(join(ROOT, 'test/system/main.ts'), 'utf8');
    expect(scripts['test']).toBe('vitest run --project unit --project quick');
    expect(scripts['test:system']).toBe('exec node test/system/main.ts');
    expect(system).toContain("['--project', 'rest', '--project', 'system']");
    expect(Object.keys(GROUPS)).toEqual(['unit', 'quick', 'rest', 'system']);
  });
});

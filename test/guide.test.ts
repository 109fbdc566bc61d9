import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import type { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { commandsOf } from '../src/cli/commands.ts';
import { ConfigSchema } from '../src/config/schema.ts';
import * as orchestratorMetrics from '../src/orchestrator/observability/metric-definitions.ts';
import { SettingsSchema, SETTINGS_FROM_ENVIRONMENT } from '../src/orchestrator/settings.ts';
import { GAUGES } from '../src/telemetry/gauge-definitions.ts';
import { COUNTERS, HISTOGRAMS } from '../src/telemetry/metric-definitions.ts';
import { blocksOf, missingIn } from './support/guide-examples.ts';
import { ROOT } from './tiers.ts';

const MOST_LINES = 220;
const MOST_PICTURE_BYTES = 150_000;

const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

const GUIDE = globSync('deploy/guide/*.md', { cwd: ROOT }).toSorted();
const PAGES = ['README.md', ...GUIDE];
const TEXTS = new Map(PAGES.map((file) => [file, read(file)]));
const ALL = [...TEXTS.values()].join('\n');

/** As GitHub names the place of a heading. */
function anchorsIn(text: string): ReadonlySet<string> {
  const headings = [...text.matchAll(/^#{1,6} (?<title>.+)$/gm)].map(({ groups }) => groups?.['title'] ?? '');
  return new Set(
    headings.map((title) =>
      title
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

const codeOf = (text: string): string[] =>
  [...text.matchAll(/`(?<code>[^`\n]+)`/g)].map(([, code = '']) => code);

test('the README is a landing page', () => {
  expect(read('README.md').trimEnd().split('\n').length).toBeLessThanOrEqual(MOST_LINES);
});

test('pictures are small enough for a landing page', () => {
  const pictures = globSync('deploy/guide/*.png', { cwd: ROOT });
  expect(pictures).toContain('deploy/guide/desk.png');
  for (const picture of pictures)
    expect(statSync(join(ROOT, picture)).size, picture).toBeLessThan(MOST_PICTURE_BYTES);
});

test('the guide has its pages, and its index names each', () => {
  expect(GUIDE.length).toBeGreaterThan(15);
  const index = read('deploy/guide/README.md');
  for (const file of GUIDE.filter((page) => !page.endsWith('/README.md')))
    expect(index, file).toContain(`](${file.slice('deploy/guide/'.length)})`);
});

describe.each(PAGES)('%s', (file) => {
  const text = TEXTS.get(file) ?? '';
  const links = [...text.matchAll(/\]\((?<target>[^)\s]+)\)/g)]
    .map(({ groups }) => groups?.['target'] ?? '')
    .filter((target) => !/^[a-z]+:/.test(target));

  test('every link leads to a file or folder, and to a heading in it', () => {
    for (const link of links) {
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? file : normalize(join(dirname(file), path));
      expect(existsSync(join(ROOT, target)), link).toBe(true);
      if (anchor !== undefined) expect([...anchorsIn(read(target))], link).toContain(anchor);
    }
  });

  test('every file that is named exists', () => {
    const named = codeOf(text).filter((code) => /^(?:src|test|config|flags|deploy)\/[\w./-]+$/.test(code));
    for (const path of named.filter((one) => !one.includes('NNN')))
      expect(existsSync(join(ROOT, path)), path).toBe(true);
  });
});

test('the code of the page about adding a service is that of the example', () => {
  const example = read('config/examples/reminder-service.ts');
  const blocks = blocksOf('add-a-service.md', 'ts');
  expect(blocks.length).toBeGreaterThan(4);
  for (const block of blocks) expect(example).toContain(block);
});

describe('everything that the README and the guide name exists', () => {
  const commands = commandsOf({});

  /** `crossfade …` in a block or between backticks, to the end of the command. */
  const typed = [
    ...ALL.matchAll(/(?:^\$? ?|`|= )(?:crossfade|npm run -s crossfade --) (?<words>[a-z][^`\n|>]*)/gm),
  ]
    .map(({ groups }) => (groups?.['words'] ?? '').trim())
    .filter((words) => !/^(?:completion|--help)/.test(words));

  test('commands are found', () => expect(typed.length).toBeGreaterThan(60));

  test.each([...new Set(typed)])('crossfade %s', async (words) => {
    const [name = '', ...rest] = words.replaceAll(/"[^"]*"/g, 'TEXT').split(/\s+/);
    const top = await commands[name]?.();
    expect(top, name).toBeDefined();
    const command = below(top, rest);
    for (const option of rest.filter((word) => word.startsWith('--')))
      expect(optionsOf(command, top)).toContain(option);
    const isGroup = command === top && command?.options.length === 0 && command.commands.length > 0;
    expect(isGroup ? rest : []).toEqual([]);
  });

  test('npm scripts', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const named = [...ALL.matchAll(/npm (?:run )?(?:-s )?(?<script>[a-z][\w:]*)/g)]
      .map(({ groups }) => groups?.['script'] ?? '')
      .filter((script) => script !== 'ci' && script !== 'run');
    expect(named.length).toBeGreaterThan(30);
    for (const script of named) expect(Object.keys(scripts)).toContain(script);
  });

  test('metrics', () => {
    const counters = [...Object.values(COUNTERS), ...Object.values(orchestratorMetrics.COUNTERS)];
    const others = [HISTOGRAMS, GAUGES, orchestratorMetrics.HISTOGRAMS, orchestratorMetrics.GAUGES].flatMap(
      (group) => Object.values(group) as readonly { readonly name: string }[],
    );
    const names = new Set([
      ...counters.map(({ name }) => `${name}_total`),
      ...others.flatMap(({ name }) => [name, `${name}_total`]),
    ]);
    const named = [...ALL.matchAll(/\bcrossfade_\w+/g)].map(([name]) => name);
    expect(named.length).toBeGreaterThan(30);
    for (const name of named) expect([...names]).toContain(name);
  });

  test('settings', () => {
    const sections = new Set([...keysOf(ConfigSchema), ...keysOf(SettingsSchema)]);
    const named = codeOf(ALL)
      .map((code) => /^(?<path>[a-z]+(?:\.[a-zA-Z]+)+)(?::.*)?$/.exec(code)?.groups?.['path'] ?? '')
      .filter((path) => sections.has(path.split('.')[0] ?? ''))
      // A member of the status that is called like a section.
      .filter((path) => path !== 'proxy.flags');
    expect(named.length).toBeGreaterThan(50);
    for (const path of named) expect(isSetting(path), path).toBe(true);
  });

  test('environment variables of the orchestrator, all of them', () => {
    const page = read('deploy/guide/settings.md');
    for (const [name, path] of SETTINGS_FROM_ENVIRONMENT) {
      expect(page).toContain(`\`${name}\``);
      expect(page).toContain(`\`${path}\``);
    }
  });

  test('environment variables of the proxy, all of them', () => {
    const page = read('deploy/guide/settings.md');
    const given = [
      ...read('src/config/config.ts').matchAll(/^ {2}\['(?<name>[A-Z_]+)', \[(?<path>'.+')\]\],$/gm),
    ];
    expect(given.length).toBeGreaterThan(10);
    for (const { groups } of given) {
      const path = (groups?.['path'] ?? '').replaceAll("', '", '.').replaceAll("'", '');
      expect(page).toMatch(new RegExp(`\`${groups?.['name']}\` +\\| \`${path}\``));
    }
  });

  test('alerts, all of them', () => {
    const { groups } = parse(read('deploy/prometheus-alerts.yaml')) as {
      groups: { rules: { alert: string }[] }[];
    };
    const alerts = groups.flatMap(({ rules }) => rules.map(({ alert }) => alert));
    const named = [...read('deploy/guide/monitor.md').matchAll(/\bCrossfade[A-Z]\w+/g)].map(([name]) => name);
    expect(named.toSorted()).toEqual(alerts.toSorted());
  });

  test('routes', () => {
    const source = globSync('src/**/*.ts', { cwd: ROOT }).map(read).join('\n');
    const named = [
      ...ALL.matchAll(/(?:GET |POST |[^.]`)(?<route>\/(?:v1|health)(?:\/(?:<[^>`]+>|[\w.-]+))+)/g),
    ];
    expect(named.length).toBeGreaterThan(30);
    for (const { groups } of named) {
      const route = (groups?.['route'] ?? '').replaceAll(/<[^>]+>/g, ':');
      const pattern = route
        .split('/')
        .map((part) => (part.startsWith(':') ? ':\\w+' : part.replace('.', '\\.')));
      const isOfOrchestrator = route === '/v1/:';
      expect(isOfOrchestrator || new RegExp(`'${pattern.join('/')}(?:/:report)?'`).test(source), route).toBe(
        true,
      );
    }
  });
});

describe('the comparison of examples with what was printed', () => {
  const missing = (printed: string, ...shown: string[]): readonly string[] =>
    missingIn(printed, { command: '', shown });

  test('lets numbers, the width of columns and what … stands for differ', () => {
    expect(missing('a\n  x   12.5 %  of y\nb 7 c', 'x 3 %  of y', '…', 'b … c')).toEqual([]);
  });

  test('finds a line that was not printed, is another one, or came earlier', () => {
    expect(missing('one\ntwo', 'three')).toEqual(['three']);
    expect(missing('one (a)', 'one (b)')).toEqual(['one (b)']);
    expect(missing('one\ntwo', 'two', 'one')).toEqual(['one']);
  });
});

/** The command that the words name, below another one. */
function below(command: Command | undefined, [word, ...rest]: readonly string[]): Command | undefined {
  const found = command?.commands.find((one) => one.name() === word);
  return found === undefined ? command : below(found, rest);
}

function optionsOf(command: Command | undefined, top: Command | undefined): string[] {
  return [...(command?.options ?? []), ...(top?.options ?? [])]
    .flatMap(({ long }) => long ?? [])
    .concat('--help');
}

function keysOf(schema: object): string[] {
  const { properties = {} } = schema as { properties?: object };
  return Object.keys(properties);
}

/** A place of a name, as `services.<name>`, is none of the settings that are looked at here. */
function isSetting(path: string): boolean {
  return [ConfigSchema, SettingsSchema].some((root) => {
    let schema: object | undefined = root;
    for (const key of path.split('.')) {
      const { properties = {} } = (schema ?? {}) as { properties?: Record<string, object> };
      schema = properties[key];
    }
    return schema !== undefined;
  });
}

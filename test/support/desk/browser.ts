import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import axe from 'axe-core';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];

export const SCREENSHOTS = fileURLToPath(new URL('../../e2e/screenshots/', import.meta.url));

/** The system's browser: none is downloaded. */
export async function startBrowser(): Promise<Browser> {
  const executablePath = CHROMIUM.find((path) => existsSync(path));
  if (executablePath === undefined) throw new Error('These tests need Chromium: apt-get install -y chromium');
  mkdirSync(SCREENSHOTS, { recursive: true });
  return chromium.launch({ executablePath, args: FLAGS });
}

/** One person's browser, with everything that went against the policy or failed in it. */
export interface Watched {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Violations of the content security policy, errors of scripts, requests that failed or left the desk. */
  readonly complaints: string[];
}

export async function openWatched(browser: Browser, origin: string): Promise<Watched> {
  const context = await browser.newContext({ viewport: WIDE, reducedMotion: 'reduce', locale: 'en-GB' });
  const page = await context.newPage();
  const complaints: string[] = [];
  await page.addInitScript(
    `addEventListener('securitypolicyviolation', (event) =>
       console.error('policy violated: ' + event.violatedDirective + ' ' + event.blockedURI))`,
  );
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => {
    if (!request.url().startsWith(origin)) complaints.push(`left the desk: ${request.url()}`);
  });
  return { page, context, complaints };
}

const WIDE = { width: 1280, height: 800 };
const PHONE = { width: 360, height: 740 };

/** What axe-core finds wrong, one line each. Empty: nothing. @param rules all of them where none is named */
export async function accessibilityProblems(page: Page, rules: readonly string[] = []): Promise<string[]> {
  await page.evaluate(axe.source);
  const run = rules.length === 0 ? 'axe.run()' : `axe.run({ runOnly: ${JSON.stringify(rules)} })`;
  const { violations, passes } = (await page.evaluate(run)) as axe.AxeResults;
  if (rules.length === 0 && passes.length < 10)
    throw new Error(`axe-core looked at too little: ${passes.length} rules`);
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary ?? ''}`),
  );
}

/** Whether something is wider than the window: then a person must scroll to both sides. */
export async function overflow(page: Page): Promise<number> {
  return Number(await page.evaluate('document.documentElement.scrollWidth - innerWidth'));
}

/** A photograph of the page, and its checks: all in light, the colours in dark, and the layout on a phone. */
export async function photograph(page: Page, name: string): Promise<string[]> {
  const problems: string[] = [];
  const looks = [
    { look: 'light', viewport: WIDE, colorScheme: 'light', rules: [] },
    { look: 'dark', viewport: WIDE, colorScheme: 'dark', rules: ['color-contrast'] },
    {
      look: 'phone',
      viewport: PHONE,
      colorScheme: 'light',
      rules: ['target-size', 'scrollable-region-focusable'],
    },
  ] as const;
  for (const { look, viewport, colorScheme, rules } of looks) {
    await page.setViewportSize(viewport);
    await page.emulateMedia({ colorScheme });
    const found = await accessibilityProblems(page, rules);
    problems.push(...found.map((problem) => `${name} ${look}: ${problem}`));
    const wider = await overflow(page);
    if (wider > 0) problems.push(`${name} ${look}: ${wider} px wider than the window`);
    if (look === 'light') await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true });
  }
  await page.setViewportSize(WIDE);
  await page.emulateMedia({ colorScheme: 'light' });
  return problems;
}

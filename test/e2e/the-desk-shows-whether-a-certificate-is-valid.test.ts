import { generateKeyPairSync } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import type { Browser } from 'playwright-core';
import { Value } from 'typebox/value';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ENDS } from '../../src/operator/api/ends.ts';
import {
  type Certificate,
  fingerprintOf,
  rootOf,
  signCertificate,
  type Statement,
} from '../../src/operator/certificate/certificate.ts';
import { certificatePage } from '../../src/operator/certificate/certificate-page.ts';
import { createDesk } from '../../src/operator/desk/desk.ts';
import { LiveBook } from '../../src/operator/live-book.ts';
import { REPORT_POLICY } from '../../src/operator/report/render-html.ts';
import { openWatched, photograph, startBrowser, type Watched } from '../support/desk/browser.ts';
import { statusWith } from '../support/desk/status.ts';
import { freePort } from '../support/ports.ts';

const SERVICE = 'session-memory';
const AT = '2026-11-23T12:00:00.000Z';
const LANES = ['ann', 'bob'].map((owner, index) => ({
  lane: `${SERVICE}/${owner}`,
  sequence: 3 + index,
  items: 2,
  digest: `${index}`.repeat(64),
  equal_at: AT,
  given_up: false,
}));

const STATEMENT: Statement = {
  format: 'crossfade-certificate-1',
  service: SERVICE,
  completed_at: AT,
  completed_by: { person: 'ada', reason: 'two weeks are over' },
  approvals: ['ada', 'grace'].map((person) => ({ person, at: AT, facts: '0'.repeat(64) })),
  versions: { crossfade: '0.1.0', definition: 'd', orchestrator: '0.1.0' },
  read_only: { since: AT, clock_began_at: AT, required_seconds: 14 * 86_400, clock_restarts: 0 },
  root: rootOf(LANES),
  lanes: LANES,
  forgotten: { items: 0, lanes: 0 },
  backup: {
    folder: '/backups/last',
    made_at: AT,
    manifest_sha256: 'a'.repeat(64),
    lanes: 2,
    items: 4,
    restored_at: AT,
    scratch_instance: 'not_configured',
  },
  accepted: [{ subject: 'foreign', person: 'ada', reason: 'read and compared', at: AT }],
  answers_without_legacy: [],
  no_longer_possible: ['to compare or repair a lane against legacy'],
};

const { privateKey } = generateKeyPairSync('ed25519');
const SIGNED = signCertificate(STATEMENT, privateKey.export({ format: 'pem', type: 'pkcs8' }).toString());
const SIGNER = fingerprintOf(SIGNED.signature.public_key);

let stored: Certificate = SIGNED;
let app: FastifyInstance;
let browser: Browser;
let watched: Watched;
let origin: string;

beforeAll(async () => {
  const proxy = {
    version: '1',
    started_at: AT,
    journal: 'postgres',
    flags: { source: 'files', fresh: true },
  };
  const status = statusWith({ proxy, services: [{ service: SERVICE, stage: 'complete' }] });
  const times = {
    since: AT,
    settled_at: AT,
    clock_began_at: AT,
    completed_at: AT,
    census: null,
    backup: null,
  };
  const end = Value.Repair(ENDS.showEnd.answer.json, { ...times, service: SERVICE, state: 'complete' });
  app = await createDesk({
    tokens: [],
    live: new LiveBook([]),
    nowMs: () => 0,
    zone: 'UTC',
    registerApi(api) {
      api.get('/v1/status', async () => status);
      api.get('/v1/ends/:service', async () => end);
      api.get<{ Querystring: { signer?: string } }>(
        '/v1/ends/:service/certificate.html',
        async ({ query }, reply) =>
          reply
            .type('text/html; charset=utf-8')
            .header('content-security-policy', REPORT_POLICY)
            .send(certificatePage(stored, query.signer)),
      );
    },
  });
  const port = await freePort();
  await app.listen({ host: '127.0.0.1', port });
  origin = `http://127.0.0.1:${port}`;
  browser = await startBrowser();
  watched = await openWatched(browser, origin);
}, 60_000);

afterAll(async () => {
  await browser?.close();
  await app?.close();
});

/** Opens the certificate from the page of the service's end, with this fingerprint. */
async function verify(fingerprint: string): Promise<string> {
  const { page } = watched;
  await page.goto(`${origin}/services/${SERVICE}/end`);
  await page.getByLabel('Fingerprint of the signer’s key').fill(fingerprint);
  await page.getByRole('button', { name: 'Verify the certificate' }).click();
  return page.locator('main').innerText();
}

test('without a key the page says only that the content is unchanged', async () => {
  const { page } = watched;
  await page.goto(`${origin}/services/${SERVICE}/end`);
  expect(await photograph(page, 'end-complete')).toEqual([]);
  await page.getByRole('link', { name: 'Its certificate' }).click();
  const text = await page.locator('main').innerText();
  expect(text).toContain('unchanged since it was signed, with a key that this page does not know');
  expect(text).not.toContain('verified');
  expect(text).toContain(SIGNER);
  expect(await photograph(page, 'certificate-unknown-key')).toEqual([]);
});

test('with the fingerprint of the signer the signature is verified', async () => {
  const text = await verify(SIGNER);
  expect(text).toContain('The signature is verified');
  expect(text).toContain('signed with the expected key');
  expect(await photograph(watched.page, 'certificate-verified')).toEqual([]);
});

test('another key than the expected one is not accepted', async () => {
  expect(await verify('0'.repeat(32))).toContain('Not signed with the expected key');
  expect(await photograph(watched.page, 'certificate-other-key')).toEqual([]);
});

test('changed content is not valid, whatever fingerprint is given', async () => {
  stored = { ...SIGNED, statement: { ...STATEMENT, accepted: [] } };
  for (const text of [await verify(SIGNER), await verify('0'.repeat(32))]) {
    expect(text).toContain('the content was changed after it was signed');
    expect(text).not.toContain('Legacy is no longer needed');
  }
  expect(await photograph(watched.page, 'certificate-changed')).toEqual([]);
});

test('nothing violated the policy, failed, or left the desk', () => {
  expect(watched.complaints).toEqual([]);
});

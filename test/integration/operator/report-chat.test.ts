import { once } from 'node:events';
import { createServer } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../../src/shared/clock.ts';
import { createDeliveries } from '../../../src/operator/report/deliver-report.ts';
import { Webhook } from '../../../src/operator/webhook.ts';
import { freePort } from '../../support/ports.ts';
import { DATE, fineService, reportOf } from '../../unit/operator/report/facts.ts';

const bodies: string[] = [];
const receiver = createServer((request, response) => {
  request.setEncoding('utf8');
  let text = '';
  request.on('data', (chunk: string) => (text += chunk));
  request.on('end', () => {
    bodies.push(text);
    response.writeHead(200).end();
  });
});
let webhook: Webhook;

beforeAll(async () => {
  const port = await freePort();
  receiver.listen(port, '127.0.0.1');
  await once(receiver, 'listening');
  webhook = new Webhook({ url: `http://127.0.0.1:${port}/`, clock: systemClock });
});
afterAll(async () => {
  await webhook.close();
  receiver.close();
});

test.each(['slack', 'teams'] as const)(
  'for %s a report has its verdict, the next step per service and a link',
  async (format) => {
    const reportsUrl = 'https://crossfade.example.org';
    const deliver = createDeliveries({ folder: undefined, webhook: { webhook, format, reportsUrl } }).get(
      'webhook',
    );
    const texts = { html: '', md: 'MARKDOWN', json: JSON.stringify(reportOf([fineService()])) };
    expect(await deliver?.({ date: DATE, texts })).toBeUndefined();
    const body = bodies.at(-1) ?? '';
    expect(body).toContain(`Crossfade report of ${DATE}`);
    expect(body).toContain(`${reportsUrl}/reports/${DATE}.html`);
    expect(body).toMatch(/session-memory: \w/);
    expect(body).not.toContain('MARKDOWN');
  },
);

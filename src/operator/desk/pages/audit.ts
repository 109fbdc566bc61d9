import { ENDPOINTS } from '../../api/endpoints.ts';
import { auditTable } from '../../views/audit.ts';
import { section } from '../../views/document.ts';
import { html, type Html } from '../../views/html.ts';
import type { Asked, Visit } from '../visit.ts';
import type { Page } from './layout.ts';
import { sectionPanel } from './table-panel.ts';

/** Who changed what, and why. */
export async function auditPage(visit: Visit, { query }: Asked): Promise<Page> {
  const services = visit.status?.services.map(({ service }) => service as string) ?? [];
  const choices = chosenIn(services, query);
  const chosen = new URLSearchParams(Object.entries(choices).filter(([, value]) => value !== ''));
  const { before = '' } = query;
  const asked = { ...Object.fromEntries(chosen), ...(/^\d{1,9}$/.test(before) && { before }) };
  const { entries, next } = await visit.api.ask(ENDPOINTS.listAudit, { query: asked });
  return {
    title: 'Audit',
    lead: 'Changes by people and by the guard, newest first.',
    body: html`${choice(services, choices)}${sectionPanel('changes', section('Changes', auditTable(entries)))}${
      next !== null && html`<p><a href="/audit?${olderThan(next, chosen)}">Older changes</a></p>`
    }`,
  };
}

function olderThan(next: number, chosen: URLSearchParams): string {
  return new URLSearchParams([...chosen, ['before', String(next)]]).toString();
}

/** The first word of each command. */
const COMMANDS = [
  'flags',
  'guard',
  'runs',
  'repair',
  'lanes',
  'dead-letters',
  'unknown-outcomes',
  'reverse',
  'lost',
  'rules',
] as const;

/** Empty: no restriction. */
interface Chosen {
  readonly service: string;
  readonly person: string;
  readonly command: string;
}

function chosenIn(services: readonly string[], query: Asked['query']): Chosen {
  return {
    service: services.find((one) => one === query['service']) ?? '',
    person: (query['person'] ?? '').trim(),
    command: COMMANDS.find((one) => one === query['command']) ?? '',
  };
}

function choice(services: readonly string[], { service, person, command }: Chosen): Html {
  return html`<form class="panel row" method="get" action="/audit" role="search">
    <div class="field">
      <label for="service">Service</label
      ><select id="service" name="service">
        <option value="">every service</option>
        ${services.map((one) => html`<option ${one === service && html`selected`}>${one}</option>`)}
      </select>
    </div>
    <div class="field">
      <label for="person">Who</label
      ><input
        id="person"
        name="person"
        value="${person}"
        maxlength="200"
        autocomplete="off"
        placeholder="a name, or guard"
      />
    </div>
    <div class="field">
      <label for="command">What</label
      ><select id="command" name="command">
        <option value="">every command</option>
        ${COMMANDS.map((one) => html`<option ${one === command && html`selected`}>${one}</option>`)}
      </select>
    </div>
    <button class="primary">Show</button>
  </form>`;
}

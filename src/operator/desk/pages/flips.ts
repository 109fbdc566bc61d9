import type { ServiceName } from '../../../domain/ids.ts';
import { ENDPOINTS } from '../../api/endpoints.ts';
import type { ShownFlips } from '../../api/flips.ts';
import { flipSections } from '../../views/flips.ts';
import { html, type Html, when } from '../../views/html.ts';
import type { Visit } from '../visit.ts';
import { foldedChange } from './change-form.ts';
import { sectionPanel } from './table-panel.ts';

/** How far the lanes have moved, which are stuck, what a flip needs, and what agents notice afterwards. */
export async function flipPanels(visit: Visit, service: ServiceName): Promise<Html> {
  const flips = await visit.api.ask(ENDPOINTS.showFlips, { params: { service } });
  // The panel names the person who holds further flips.
  const sections = flipSections({ ...flips, held: null });
  return html`${holdPanel(visit, service, flips.held)}
  ${sections.map((section, index) => sectionPanel(index === STUCK_LANES ? 'flip-stuck' : `flips-${index}`, section))}`;
}

/** The fader of the desk links to this section. */
const STUCK_LANES = 1;

/** The person who stops further flips, and the way to stop or permit them. */
export function holdPanel(visit: Visit, service: string, held: ShownFlips['held']): Html {
  const isHeld = held !== null;
  const id = `hold-${service}`;
  return html`<article class="panel" aria-labelledby="${id}">
    <h2 id="${id}">${isHeld ? `Flips of ${service} are held` : `Flips of ${service}`}</h2>
    ${
      isHeld
        ? html`<p>
              <span class="state warn">◆ held</span> since ${when(held.at)} by ${held.person}: ${held.reason}
            </p>
            <p class="help">
              Lanes that have moved stay where they are. No further lane moves until a person permits it.
            </p>`
        : html`<p class="help">No person stops further flips. A hold moves no lane back.</p>`
    }
    <div class="deeds">
      ${foldedChange(
        visit,
        isHeld
          ? { action: `/flips/${service}/lift`, label: 'Let lanes be flipped again', role: 'approver' }
          : { action: `/flips/${service}/hold`, label: 'Hold further flips', role: 'operator' },
      )}
    </div>
  </article>`;
}

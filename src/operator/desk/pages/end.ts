import { ENDPOINTS } from '../../api/endpoints.ts';
import { endSections } from '../../views/ends.ts';
import { html, type Html } from '../../views/html.ts';
import type { Asked, Visit } from '../visit.ts';
import type { Page } from './layout.ts';
import { sectionPanel } from './table-panel.ts';

/** How far a service is from the end of its migration, every condition, and its certificate. */
export async function endPage(
  visit: Visit,
  { params: { service } }: Asked<{ readonly service: string }>,
): Promise<Page> {
  const end = await visit.api.ask(ENDPOINTS.showEnd, { params: { service } });
  const at = `/services/${service}/certificate`;
  return {
    title: `The end of ${service}`,
    lead:
      end.state === 'complete'
        ? html`This service is complete. <a href="${at}">Its certificate</a>,
            <a href="${at}.json">as JSON</a>`
        : 'What is missing until legacy can be switched off. The command line makes each step: crossfade read-only, then crossfade complete.',
    body: html`${end.state === 'complete' && signerForm(at)}${endSections(end).map((section, index) => sectionPanel(`end-${index}`, section))}`,
  };
}

/** The page of the certificate proves who signed it only to a person who knows the signer's key. */
function signerForm(action: string): Html {
  return html`<form class="panel row" method="get" action="${action}">
    <div class="field">
      <label for="signer">Fingerprint of the signer’s key</label
      ><input
        id="signer"
        name="signer"
        required
        pattern="[0-9a-f]{32}"
        maxlength="32"
        autocomplete="off"
        spellcheck="false"
      />
    </div>
    <button class="primary">Verify the certificate</button>
  </form>`;
}

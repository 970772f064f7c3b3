/** Connects the rooms. */
import { PANELS } from './ui/panels';

for (const panel of PANELS) {
  if (document.getElementById(`panel-${panel.id}`) === null) throw new Error(`index.html has no panel-${panel.id}`);
}

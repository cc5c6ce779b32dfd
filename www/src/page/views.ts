/** The views of the studio, in the order of use, and which of them the address names. */
export interface View {
  id: ViewName;
  title: string;
  lead: string;
}

export type ViewName = 'data' | 'model' | 'train' | 'try' | 'runs' | 'export';

export const VIEWS: View[] = [
  { id: 'data', title: 'Data', lead: 'The examples it learns from. Formats are recognised by themselves.' },
  {
    id: 'model',
    title: 'Model',
    lead: 'The language model to start from. It stays as it is; training adds a small adapter beside it.',
  },
  { id: 'train', title: 'Train', lead: 'Six settings that matter, with good defaults. Then watch it learn.' },
  { id: 'try', title: 'Try', lead: 'The same prompt or query, before and after.' },
  {
    id: 'runs',
    title: 'Runs',
    lead: 'Every run is kept in this browser: compare them, repeat one, sweep over settings.',
  },
  { id: 'export', title: 'Export', lead: 'Take what was trained to where you want to use it.' },
];

/** The view that the address names, as in `#try`; the first where it names none. */
export function viewInAddress(): ViewName {
  const name = location.hash.slice(1);
  return VIEWS.find(({ id }) => id === name)?.id ?? 'data';
}

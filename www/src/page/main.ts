import './page.css';
import './loralet-app.js';
import { startApp } from '../ui/workspace.js';
import { keepFocus } from './focus.js';

keepFocus();
void startApp();

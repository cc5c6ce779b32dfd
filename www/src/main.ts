import './styles/page.css';
import './ui/loralet-app.js';
import { startApp } from './app/app.js';

void startApp();

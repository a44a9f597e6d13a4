# Frontier in a container: no root, the simulation compiled beforehand, one port.
# docs/deployment.md says how to build and run it; tests/docs/test_deployment.py runs its steps.
FROM python:3.12-slim

# The user that Hugging Face Spaces runs as.
RUN useradd --create-home --uid 1000 frontier
WORKDIR /home/frontier/app

COPY requirements.txt ./
RUN pip install --no-cache-dir --require-hashes -r requirements.txt

COPY --chown=frontier . ./
RUN chown frontier .
USER frontier

# What is compiled here is to run on any processor, not only on that of the machine that builds.
ENV NUMBA_CPU_NAME=generic PYTHONUNBUFFERED=1
# A layer keeps times in whole seconds, and numba goes by the time of the file that it compiled.
RUN find frontier -name "*.py" -exec touch --date=2026-01-01T00:00:00Z {} +
RUN python -m frontier.compile_ahead
RUN python -m compileall -q frontier

EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as u; assert u.urlopen('http://127.0.0.1:7860/_stcore/health').read() == b'ok'"]
CMD ["python", "-m", "streamlit", "run", "app.py", "--server.port=7860", "--server.address=0.0.0.0", "--server.fileWatcherType=none"]

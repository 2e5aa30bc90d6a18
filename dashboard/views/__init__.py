"""The pages, each a script that Streamlit runs for every viewer."""

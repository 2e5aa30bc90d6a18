"""TemporalVLM (arXiv 2412.02930): a video language model that knows when things happen.

docs/temporalvlm.md tells apart what the paper says and what is our choice. Read in the data's way:
segmentation, video, timestamps, image_qformer, video_qformer, segment_encoder, aggregation,
step_head, language_model, model; beside it config, parts (what is trained), checkpoint (TimeChat).
The language model's side: pretrained, phrase_projection, video_tokens, question_rows,
question_attention, greedy_decoding. Training: video_crops, frame_training, reading (once, before
any video), alignment, language_training. Comparing: systems (by name:
longvlm, videochat_embed, and TimeChat as a configuration), frame_rows, causal_gru.
"""

namespace Diffusion.Gpu.Cli;

/// <summary>The options of 'diffusion train' under the reference trainer's names.</summary>
internal static class TrainOptions
{
    /// <summary>When samples are scored, and how; a policy file holds these and no others.</summary>
    /// <remarks>Before <see cref="All"/>, which takes them in when it is initialised.</remarks>
    public static IReadOnlyList<OptionEntry> Scoring { get; } =
    [
        new("fid", OptionKind.Text, "Score samples by FID: off, development (off too), validation (10,000 samples at milestones), final "
            + "(50,000 at the end), or a JSON file of these options. [calculate_fid]"),
        new("num-fid-samples", OptionKind.Whole, "Samples of a score; none = by stage. [num_fid_samples]"),
        new("fid-every", OptionKind.Whole, "Steps between scores; none = every milestone (validation), at the end alone (final)."),
        new("fid-sampler", OptionKind.Text, "ddim, ddpm or dpm++2m; none = dpm++2m."),
        new("fid-steps", OptionKind.Whole, "Network calls per sample; none = 15 (validation), 25 (final)."),
        new("fid-batch", OptionKind.Whole, "Samples drawn together; none = two training batches. Scores do not depend on it."),
        new("fid-seed", OptionKind.Whole, "Sample i of a score is sample i of 'diffusion sample --seed' with this."),
        new("fid-recipe", OptionKind.Text, "Preprocessing: pytorch-fid, clean or tf1."),
        new("fid-dims", OptionKind.Whole, "Features per image: 64, 192, 768 or 2048. [inception_block_idx]"),
        new("fid-weights", OptionKind.Text, "Inception's weights, .safetensors; none = those of 'diffusion weights fetch'; hash = weights "
            + "from a hash, whose scores compare with nothing but each other."),
        new("fid-reference", OptionKind.Text, "Statistics of the real images, .npz; none = of the training images, computed once."),
        new("save-best-and-latest-only", OptionKind.Flag, "Keep model-best and model-latest instead of every milestone's checkpoint."),
    ];

    public static IReadOnlyList<OptionEntry> All { get; } =
    [
        // The network
        new("dim", OptionKind.Whole, "Width of the U-Net's first level, in channels."),
        new("init-dim", OptionKind.Whole, "Channels after the first convolution; none = dim."),
        new("out-dim", OptionKind.Whole, "Channels of the output; none = those of the images."),
        new("dim-mults", OptionKind.WholeList, "Width of each level, as a multiple of dim."),
        new("channels", OptionKind.Whole, "Channels of the images: 1 grey, 3 RGB, 4 RGBA."),
        new("self-condition", OptionKind.Flag, "Feed the last estimate of the image back into the network."),
        new("learned-variance", OptionKind.Flag, "Predict the variance of each step too (sampled by ddpm)."),
        new("learned-sinusoidal-cond", OptionKind.Flag, "Learn the frequencies of the time embedding."),
        new("random-fourier-features", OptionKind.Flag, "Draw the frequencies of the time embedding and keep them."),
        new("learned-sinusoidal-dim", OptionKind.Whole, "Width of a learned or random time embedding."),
        new("sinusoidal-pos-emb-theta", OptionKind.Whole, "Ratio of the longest to the shortest period of the time embedding."),
        new("dropout", OptionKind.Number, "Probability that a value in a residual block is dropped."),
        new("full-attn", OptionKind.FlagList, "Which levels use full attention, true,false,…; none = only the last."),
        new("attn-heads", OptionKind.WholeList, "Attention heads, one number or one per level."),
        new("attn-dim-head", OptionKind.WholeList, "Width of an attention head, one number or one per level."),

        // The process
        new("image-size", OptionKind.Whole, "Height and width of the images, in pixels."),
        new("timesteps", OptionKind.Whole, "Steps of the noising process."),
        new("sampling-timesteps", OptionKind.Whole, "Steps of the sample grids: fewer than timesteps means DDIM; none = all."),
        new("objective", OptionKind.Text, "What the network predicts: pred_noise, pred_x0 or pred_v."),
        new("beta-schedule", OptionKind.Text, "How noise grows: linear, cosine or sigmoid."),
        new("ddim-sampling-eta", OptionKind.Number, "Noise of DDIM: 0 none, 1 as much as DDPM."),
        new("auto-normalize", OptionKind.Flag, "Images in [0, 1] become [-1, 1]."),
        new("min-snr-loss-weight", OptionKind.Flag, "Weigh the loss by min(SNR, gamma)."),
        new("min-snr-gamma", OptionKind.Number, "Gamma of the min-SNR weight."),
        new("offset-noise-strength", OptionKind.Number, "Standard deviation of a noise per image and channel."),
        new("immiscible", OptionKind.Flag, "Give each image the noise nearest to it within the batch."),

        // The training
        new("train-batch-size", OptionKind.Whole, "Images per micro-batch."),
        new("gradient-accumulate-every", OptionKind.Whole, "Micro-batches per step."),
        new("train-lr", OptionKind.Number, "Learning rate of Adam."),
        new("train-num-steps", OptionKind.Whole, "Steps of the whole run."),
        new("adam-betas", OptionKind.NumberList, "Decays of Adam's moments."),
        new("max-grad-norm", OptionKind.Number, "Longer gradients are scaled to this L2 norm."),
        new("ema-decay", OptionKind.Number, "Share that the average keeps at an update."),
        new("ema-update-every", OptionKind.Whole, "Steps between updates of the average."),
        new("save-and-sample-every", OptionKind.Whole, "Steps between checkpoints with sample grids (a milestone)."),
        new("num-samples", OptionKind.Whole, "Images of a sample grid."),
        new("augment-horizontal-flip", OptionKind.Flag, "Mirror each image with probability one half."),
        new("convert-image-to", OptionKind.Text, "L, RGB or RGBA; none = by channels."),
        new("squash", OptionKind.Flag, "Stretch images that are not square, as the reference does, instead of cropping the centre."),
        new("seed", OptionKind.Whole, "Seed of every random number of the run."),

        // The scores
        .. Scoring,
    ];
}

namespace Diffusion.Gpu.Cli;

/// <summary>The options of 'diffusion train' under the reference trainer's names.</summary>
internal static class TrainOptions
{
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
    ];
}
